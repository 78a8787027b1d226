"""The file of keys: what is in it, who may read it, and what is refused."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cohear_server.access.keys import add_key, hash_of, read_keys, revoke_key
from cohear_server.errors import ClientError

GOOD = f'[[key]]\nname = "a"\nsha256 = "{"0" * 64}"\ncreated = 2026-01-01T00:00:00Z\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sub" / "keys.toml"


def test_a_key_is_kept_as_a_hash_for_its_owner_alone(file: Path) -> None:
    secret = add_key(file, "reception")
    assert secret.startswith("cohear_")
    assert len(secret) >= 40
    (key,) = read_keys(file)
    assert (key.name, key.sha256) == ("reception", hash_of(secret))
    assert abs((datetime.now(UTC) - key.created).total_seconds()) < 60
    assert secret not in file.read_text()
    assert secret.removeprefix("cohear_") not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keys_are_added_and_revoked_one_by_one(file: Path) -> None:
    secrets = [add_key(file, name) for name in ("a", "b.c-d_1", "c")]
    assert len(set(secrets)) == 3
    revoke_key(file, "b.c-d_1")
    assert [key.name for key in read_keys(file)] == ["a", "c"]
    assert [path.name for path in file.parent.iterdir()] == ["keys.toml"], "nothing is left beside it"


def test_a_key_streams_unless_it_is_made_for_something_else(file: Path) -> None:
    add_key(file, "a")
    assert "scopes" not in file.read_text(), "a server of before reads it too"
    add_key(file, "b", ["operate"])
    add_key(file, "c", ["operate", "stream"])
    assert [key.scopes for key in read_keys(file)] == [("stream",), ("operate",), ("stream", "operate")]


def test_what_goes_wrong_while_writing_leaves_the_file_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_key(file, "a")
    before = file.read_text()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ClientError, match="No space left"):
        add_key(file, "b")
    assert file.read_text() == before
    assert [path.name for path in file.parent.iterdir()] == ["keys.toml"]


@pytest.mark.parametrize("name", ["", "-a", "a b", 'a"', "a\n", "x" * 65, "é"])
def test_names_that_are_none(file: Path, name: str) -> None:
    with pytest.raises(ClientError, match="letters, digits"):
        add_key(file, name)
    assert not file.exists()


def test_a_name_is_given_once(file: Path) -> None:
    add_key(file, "a")
    with pytest.raises(ClientError, match="already"):
        add_key(file, "a")
    with pytest.raises(ClientError, match=r"no key 'b'.*known keys: a"):
        revoke_key(file, "b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("key = [", "not TOML"),
        ("\xff", "not TOML"),
        ('other = "x"', "something else"),
        ("key = 5", "something else"),
        ("[[key]]\nname = 'a'", "that is not valid"),
        (GOOD.replace("0" * 64, "secret"), "that is not valid"),
        (GOOD + "more = 1\n", "that is not valid"),
        (GOOD + "scopes = []\n", "that is not valid"),
        (GOOD + 'scopes = "stream"\n', "that is not valid"),
        (GOOD + 'scopes = ["stream", "all"]\n', "that is not valid"),
        (GOOD + "scopes = [[]]\n", "that is not valid"),
        ("a = " + "[" * 50_000, "not TOML"),
        ("# " + "x" * (2 << 20), "bytes"),
        (GOOD + GOOD, "two keys of one name"),
    ],
)
def test_damaged_files_say_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text, encoding="latin-1")
    file.chmod(0o600)
    with pytest.raises(ClientError, match=words) as caught:
        read_keys(file)
    assert str(file) in caught.value.message
    assert caught.value.remedy


def test_a_file_that_others_may_write_is_not_used(file: Path) -> None:
    add_key(file, "a")
    file.chmod(0o620)
    with pytest.raises(ClientError, match="chmod 600"):
        read_keys(file)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(ClientError, match="is no file"):
            read_keys(tmp_path / name)


def test_no_file_says_how_to_make_one(file: Path) -> None:
    with pytest.raises(ClientError, match="cohear keys add NAME --keys"):
        read_keys(file)
