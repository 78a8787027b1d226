from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cohear_cli.outputs import FORMATS, as_json, remove_parts, render, tsv, write_all, write_atomically
from cohear_client.errors import ClientError
from cohear_client.protocol import Final, Timing, Word
from cohear_client.transcript import Statistics, Transcript

WORDS = (Word("hello", 1.0, 1.4, 0.95), Word("world", 1.4, 2.0, 0.5))
TRANSCRIPT = Transcript((Final(1, 0, "hello\tworld", 0.9, "en", 1.0, 2.0, "endpoint", "m", Timing(), WORDS),))


def test_tsv_has_milliseconds_and_no_stray_tabs() -> None:
    assert tsv(TRANSCRIPT) == "start\tend\ttext\n1000\t2000\thello world\n"


def test_json_has_the_usual_shape() -> None:
    whole = json.loads(as_json(TRANSCRIPT))
    assert whole["language"] == "en"
    (segment,) = whole["segments"]
    assert (segment["id"], segment["start"], segment["end"]) == (0, 1.0, 2.0)
    assert segment["words"][1] == {"word": " world", "start": 1.4, "end": 2.0, "probability": 0.5}


def test_json_has_the_statistics_that_whisper_gives() -> None:
    measured = Statistics(12.34, -0.25, 0.01, 1.5, 0.2)
    (segment,) = json.loads(as_json(Transcript(TRANSCRIPT.segments, statistics=(measured,))))["segments"]
    assert segment["seek"] == 1234
    names = ("avg_logprob", "no_speech_prob", "compression_ratio", "temperature")
    assert [segment[name] for name in names] == [-0.25, 0.01, 1.5, 0.2]


def test_json_is_whole_whatever_is_said() -> None:
    said = 'line\u2028end, "quoted"\n'
    (final,) = TRANSCRIPT.segments
    for segments in ((), (msgspec.structs.replace(final, text=said),) * 2):
        text = as_json(Transcript(segments))
        whole = json.loads(text)
        assert text == json.dumps(whole, ensure_ascii=False, indent=2) + "\n"
        assert [segment["text"] for segment in whole["segments"]] == [" " + said.strip()] * len(segments)


def test_every_format_can_be_empty() -> None:
    for name in FORMATS:
        assert isinstance(render(Transcript(), name), str)


def test_all_formats_are_written_and_nothing_else(tmp_path: Path) -> None:
    written = write_all(TRANSCRIPT, FORMATS, tmp_path / "talk")
    assert sorted(tmp_path.iterdir()) == sorted(written) == sorted(tmp_path / f"talk.{name}" for name in FORMATS)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "talk.txt"
    target.write_text("before")

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ClientError, match=r"No space left.*: make room on the disk"):
        write_atomically(target, "after")
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_what_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    target = tmp_path / "talk.txt"
    write_atomically(target, "same")
    before = target.stat().st_ino
    write_atomically(target, "same")
    assert target.stat().st_ino == before
    write_atomically(target, "diff")
    assert target.read_text() == "diff"


@pytest.mark.parametrize("name", ["x" * 245, "x" * 251, "ü" * 125, "日" * 84, "x" * 255])
def test_a_name_as_long_as_systems_allow_has_outputs_of_its_own(tmp_path: Path, name: str) -> None:
    other = name[:-1] + "y"
    written = {*write_all(Transcript(), FORMATS, tmp_path / name), *write_all(Transcript(), FORMATS, tmp_path / other)}
    assert {path.suffix for path in written} == {f".{suffix}" for suffix in FORMATS}
    assert len(written) == 2 * len(FORMATS)
    assert set(tmp_path.iterdir()) == written


def test_parts_of_killed_runs_are_removed_and_those_of_others_left(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        theirs = tmp_path / f".a.txt.{other.pid}.part"
        theirs.touch()
        assert remove_parts([tmp_path]) == 0
        other.communicate(b"\n")
    foreign = tmp_path / ".notes.part"
    foreign.touch()
    assert remove_parts([tmp_path, tmp_path, tmp_path / "none"]) == 1
    assert list(tmp_path.iterdir()) == [foreign]
