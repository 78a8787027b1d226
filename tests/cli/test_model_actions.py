"""`cohear models verify | profile | eval`, from the command line to exit code and output."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cohear_cli import main
from cohear_server.engine.profile import find_profile
from cohear_server.errors import ClientError
from cohear_server.lab import evaluation, profiling
from cohear_server.lab.evaluation import Evaluation, SetResult
from cohear_server.lab.profiling import ProfileOutcome
from cohear_server.lab.scoring import ErrorRate
from huggingface_hub import constants

Output = pytest.CaptureFixture[str]

ROW = SetResult(
    name="calls",
    clips=3,
    seconds=20.0,
    words=50,
    wer_short=ErrorRate(8.0, 4.0, 12.0),
    wer_padded=ErrorRate(8.5, 4.5, 12.5),
    cpu_ms_per_s_short=14.0,
    cpu_ms_per_s_padded=70.5,
    loops_short=0,
    loops_padded=1,
    silence_words_short=None,
    silence_words_padded=None,
    ece=0.05,
)


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHEAR_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    sample = Path(__file__).parents[2] / "audio_samples" / "jfk.flac"
    shutil.copy(sample, tmp_path / "a.flac")
    return tmp_path


# --- verify ---------------------------------------------------------------------------------------


@pytest.mark.model
def test_verify_hashes_every_file(tiny_en_dir: Path, capsys: Output) -> None:
    assert tiny_en_dir.is_dir()
    assert main(["models", "verify", "tiny.en"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("  ok ") for line in lines[1:])


def test_verify_tells_each_fault_and_the_remedy(tmp_path: Path, capsys: Output) -> None:
    folder = tmp_path / "models" / "small"
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_text("{}")
    assert main(["models", "verify", str(folder)]) == 1
    captured = capsys.readouterr()
    assert "model.bin" in captured.err
    (folder / "model.bin").write_bytes(b"weights")
    assert main(["models", "verify", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pinned"] is False


def test_verify_of_a_model_that_is_nowhere(capsys: Output) -> None:
    assert main(["models", "verify", "large-v3"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


# --- profile --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("short", "words"), [(True, "tiny.en short windows: "), (False, "stays padded to 30 s: ")])
@pytest.mark.model
def test_profile_shows_progress_and_ends_with_the_choice(
    short: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    asked: list[Any] = []

    def make(model_dir: Path, name: str, audio: Path, out: Path, progress: Any) -> ProfileOutcome:
        asked.extend([name, audio, out])
        progress("60 utterances, padded to 30 s")
        profile = find_profile("tiny.en")
        assert profile is not None
        return ProfileOutcome(replace(profile, short_windows=short), out / name, "for a reason")

    monkeypatch.setattr(profiling, "make_profile", make)
    assert main(["models", "profile", "tiny.en", "--audio", "calls", "--out", str(tmp_path)]) == 0
    assert asked == ["tiny.en", Path("calls"), tmp_path]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "60 utterances, padded to 30 s"
    assert words in lines[-2]
    assert lines[-2].endswith("for a reason")
    assert str(tmp_path / "tiny.en") in lines[-1]


def test_profile_of_a_hub_model_is_found_by_its_name(tmp_path: Path) -> None:
    from cohear_server.engine.profile import profiles_dir

    shutil.copytree(profiles_dir() / "tiny.en", tmp_path / "org--mine")
    assert find_profile("org/mine", tmp_path) is not None
    assert find_profile("org/other", tmp_path) is None


# --- eval -----------------------------------------------------------------------------------------


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """`evaluate` without a model; holds the number of clips it was given."""
    given: list[int] = []

    def fake(files: Any, clips: Any, count: int, progress: Any) -> Evaluation:
        given.extend([len(clips), count])
        progress("calls, 3 clips")
        silent = replace(ROW, name="noise", wer_short=None, wer_padded=None, silence_words_short=2, ece=None)
        return Evaluation(files.name, True, (ROW, silent), 0.041)

    monkeypatch.setattr(evaluation, "evaluate", fake)
    return given


@pytest.mark.usefixtures("tiny_en_dir")
@pytest.mark.model
def test_eval_prints_a_table(clips: Path, evaluated: list[int], capsys: Output) -> None:
    assert main(["models", "eval", "tiny.en", "--data", str(clips), "--clips", "7"]) == 0
    assert evaluated == [1, 7]
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].startswith("set ")
    assert "8.0 (4.0-12.0)" in lines[1]
    assert "2 words" in lines[2]
    assert "0.041" in lines[3]
    assert "3 clips" in captured.err


@pytest.mark.usefixtures("tiny_en_dir", "evaluated")
@pytest.mark.model
def test_eval_as_json(clips: Path, capsys: Output) -> None:
    assert main(["models", "eval", "tiny.en", "--data", str(clips), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["sets"][0]["wer_short"] == {"percent": 8.0, "low": 4.0, "high": 12.0}
    assert data["ece"] == 0.041


@pytest.mark.parametrize("module", ["jiwer", "whisper_normalizer.basic"])
def test_eval_without_its_packages_says_what_to_install(
    module: str, clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    for ours in ("scoring", "evaluation"):
        monkeypatch.delitem(sys.modules, f"cohear_server.lab.{ours}")
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["models", "eval", "tiny.en", "--data", str(clips)]) == 1
    err = capsys.readouterr().err
    assert "[eval]'" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("data", "words"), [("none", "holds no audio"), ("bad", "cannot be read")])
def test_eval_of_what_is_no_speech(data: str, words: str, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.jsonl").write_text("{no json")
    assert main(["models", "eval", "tiny.en", "--data", str(tmp_path / data)]) == 1
    assert words in capsys.readouterr().err


def test_profile_errors_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Output) -> None:
    def refuse(*_: object) -> None:
        raise ClientError("bad_audio", "there are 2 clips", "give at least 6")

    monkeypatch.setattr(profiling, "make_profile", refuse)
    assert main(["models", "profile", str(tmp_path / "none"), "--audio", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
