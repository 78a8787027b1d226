"""`cohear transcribe` over files with the real tiny.en: outputs, faults, cache, kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cohear_cli import main
from cohear_cli.outputs import FORMATS

from ..samples import FOLDER as SAMPLES
from .audio import bursts, write, write_video

pytestmark = pytest.mark.model
COHEAR = [sys.executable, "-c", "import sys; from cohear_cli import main; sys.exit(main())"]
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_en_dir: Path) -> Path:
    """A cache of its own; and no test without the model."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("COHEAR_CACHE_DIR", str(folder))
    return folder


def transcribe(*arguments: object) -> int:
    return main(["transcribe", *map(str, arguments), "--device", "cpu"])


def outputs(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    folder = tmp_path / "speech"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(SAMPLES / "jfk.flac", folder)
    shutil.copy(SAMPLES / "jfk.flac", folder / "sub" / "line\nend.flac")
    return folder


def test_a_folder_gives_every_format_and_a_second_run_nothing_new(speech: Path, tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "out"
    assert transcribe(speech, "--output_format", "all", "--output_dir", out, "--report", tmp_path / "r.json") == 0
    first = outputs(out)
    assert sorted(first) == sorted(f"{stem}.{name}" for stem in ("jfk", "sub/line\nend") for name in FORMATS)
    assert b"ask not what your country can do for you" in first["jfk.txt"]
    (segment, *_) = json.loads(first["jfk.json"])["segments"]
    assert segment["avg_logprob"] < 0 < segment["compression_ratio"]
    assert 0 < segment["words"][0]["probability"] <= 1
    summary = json.loads((tmp_path / "r.json").read_text())["summary"]
    assert (summary["files"], summary["failed"]) == (2, 0)
    capsys.readouterr()
    assert transcribe(speech, "--format", "all", "--output-dir", out) == 0
    assert "2 known already" in capsys.readouterr().err
    assert outputs(out) == first
    assert main(["cache", "info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"] >= 2  # both files; one window too, if it came late enough
    assert main(["cache", "verify"]) == 0
    assert main(["cache", "clear"]) == 0
    assert "0 hits" not in capsys.readouterr().out


def test_a_clip_of_one_word_is_heard(capsys: Output) -> None:
    """It begins with its first sound and ends with its last."""
    assert transcribe(SAMPLES / "5_lucas_0.flac", "--no-cache") == 0
    assert "5" in capsys.readouterr().out


def test_skip_existing_and_quiet(speech: Path, tmp_path: Path, capsys: Output) -> None:
    arguments = (speech, "--format", "txt", "--output-dir", tmp_path / "out", "--quiet", "--no-cache")
    assert transcribe(*arguments) == 0
    (tmp_path / "out" / "jfk.txt").write_text("mine")
    assert transcribe(*arguments, "--skip-existing") == 0
    assert (tmp_path / "out" / "jfk.txt").read_text() == "mine"
    assert capsys.readouterr().err == ""


def test_each_bad_file_is_one_line_and_the_rest_is_done(tmp_path: Path, capsys: Output) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("not audio\n")
    (folder / "bad\nname.wav").write_text("not audio\n")
    os.symlink("loop.wav", folder / "loop.wav")
    os.symlink(folder, folder / "again")
    write_video(folder / "silent.mp4", bursts([1.0]), audio=False)
    cut = Path(shutil.copy(SAMPLES / "jfk.flac", folder / "cut.flac"))
    os.truncate(cut, cut.stat().st_size // 2)
    shutil.copy(SAMPLES / "jfk.flac", folder / "good.mp3")
    write(folder / "high.wav", bursts([1.0], 192_000).repeat(2).reshape(-1, 2), 192_000)
    out = tmp_path / "out"
    assert transcribe(folder, folder / "none.wav", "--format", "txt", "--output-dir", out, "--quiet") == 1
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.split(": ")[0].removeprefix(f"{folder}/") for line in lines) == [
        "bad\\nname.wav",
        "cut.flac",
        "empty.wav",
        "high.wav",
        "loop.wav",
        "none.wav",
        "silent.mp4",
        "text.wav",
    ]
    faults = [line for line in lines if not line.startswith(f"{folder}/high.wav: no words were heard")]
    assert all(line.count(": ") >= 2 for line in faults)  # file, fault, remedy
    assert sorted(outputs(out)) == ["cut.txt", "good.txt", "high.txt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line_a_file(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    def full(file: int) -> None:
        with open("/dev/full", "wb", buffering=0) as disk:
            disk.write(b"x")

    monkeypatch.setattr(os, "fsync", full)
    assert transcribe(speech, "--format", "txt", "--output-dir", tmp_path / "out", "--quiet") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all("No space left on device" in line and line.endswith("make room on the disk") for line in lines)
    assert outputs(tmp_path / "out") == {}


def test_json_lines_tell_the_whole_run(speech: Path, capsys: Output) -> None:
    assert transcribe(speech, "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [event["event"] for event in events]
    assert names[-1] == "summary"
    assert (names.count("started"), names.count("finished")) == (2, 2)
    assert events[-1]["failed"] == 0


def test_colours_show_the_probability_of_words(speech: Path, capsys: Output) -> None:
    assert transcribe(speech / "jfk.flac", "--print_colors", "True", "--quiet") == 0
    text = capsys.readouterr().out
    assert "\033[38;5;46m" in text
    assert text.count("\033[0m") == 22


def test_ctrl_c_says_how_to_go_on(speech: Path, tmp_path: Path) -> None:
    for n in range(40):
        write(speech / f"{n}.wav", bursts([5.0 + n / 10] * 4))
    arguments = [*COHEAR, "transcribe", str(speech), "--json", "--format", "txt", "--output-dir", str(tmp_path / "out")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        while '"finished"' not in run.stdout.readline():
            pass
        run.send_signal(signal.SIGINT)
        _, err = run.communicate()
    assert run.returncode == 130
    assert err.splitlines()[-1].startswith("cohear: interrupted with ")
    assert err.endswith(" files left; the same command goes on from there\n")
    assert all(not name.startswith(".") for name in outputs(tmp_path / "out"))


@pytest.mark.slow
def test_killed_runs_lose_nothing_and_leave_nothing_half(speech: Path, tmp_path: Path) -> None:
    bench = Path(__file__).parents[2] / "bench"
    code = "import sys, json; from pathlib import Path; sys.path.insert(0, sys.argv[1]); from kills import hunt\n"
    code += "tally = hunt(Path(sys.argv[2]), Path(sys.argv[3]), 5)\n"
    code += "print(json.dumps([tally.kills, tally.partial, tally.different]))"
    for path in sorted(SAMPLES.glob("*.flac")):
        shutil.copy(path, speech)
    scratch = tmp_path / "scratch"
    found = subprocess.run(
        [sys.executable, "-c", code, str(bench), str(speech), str(scratch)], capture_output=True, text=True, check=True
    )
    assert json.loads(found.stdout.splitlines()[-1]) == [5, [], []]
