"""`cohear keys` as an operator uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cohear_cli import main
from cohear_server.access.keys import hash_of, read_keys

Output = pytest.CaptureFixture[str]


def test_a_key_is_printed_once_and_alone(tmp_path: Path, capsys: Output) -> None:
    file = tmp_path / "keys.toml"
    assert main(["keys", "add", "reception", "--keys", str(file)]) == 0
    out, err = capsys.readouterr()
    (key,) = read_keys(file)
    assert hash_of(out.strip()) == key.sha256
    assert "not shown again" in err
    assert main(["keys", "list", "--keys", str(file)]) == 0
    listed = capsys.readouterr().out
    assert listed.startswith("reception ")
    assert out.strip() not in listed


def test_the_file_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("COHEAR_KEYS", str(tmp_path / "named.toml"))
    assert main(["keys", "add", "a"]) == 0
    monkeypatch.delenv("COHEAR_KEYS")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["keys", "add", "b"]) == 0
    assert [key.name for key in read_keys(tmp_path / "named.toml")] == ["a"]
    assert [key.name for key in read_keys(tmp_path / "cohear" / "keys.toml")] == ["b"]
    capsys.readouterr()


def test_a_revoked_key_is_gone(tmp_path: Path, capsys: Output) -> None:
    file = str(tmp_path / "keys.toml")
    for name in ("a", "b"):
        main(["keys", "add", name, "--keys", file])
    assert main(["keys", "revoke", "a", "--keys", file]) == 0
    capsys.readouterr()
    assert main(["keys", "list", "--json", "--keys", file]) == 0
    assert [key["name"] for key in json.loads(capsys.readouterr().out)] == ["b"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "a b"], "is no name for a key"),
        (["revoke", "a"], "there is no such file"),
        (["list"], "there is no such file"),
    ],
)
def test_faults_are_one_line_and_exit_code_1(tmp_path: Path, capsys: Output, arguments: list[str], words: str) -> None:
    assert main(["keys", *arguments, "--keys", str(tmp_path / "none.toml")]) == 1
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
