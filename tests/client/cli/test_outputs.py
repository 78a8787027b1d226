from __future__ import annotations

import json
from pathlib import Path

import pytest
from cohear_client.cli.outputs import FORMATS, as_json, stems, tsv, write_all, write_atomically
from cohear_client.errors import ClientError
from cohear_client.protocol import Final, Timing, Word
from cohear_client.transcript import Transcript

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


def test_every_format_can_be_empty() -> None:
    for write in FORMATS.values():
        assert isinstance(write(Transcript()), str)


def test_all_formats_are_written_and_nothing_else(tmp_path: Path) -> None:
    written = write_all(TRANSCRIPT, FORMATS, tmp_path / "talk")
    assert sorted(tmp_path.iterdir()) == sorted(written) == sorted(tmp_path / f"talk.{name}" for name in FORMATS)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "talk.txt"
    target.write_text("before")

    def full(self: Path, text: str, encoding: str) -> int:
        self.write_bytes(text.encode()[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ClientError, match="No space left"):
        write_atomically(target, "after")
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_names_that_would_collide_keep_their_suffix() -> None:
    files = [Path("x/a.wav"), Path("y/a.mp3"), Path("b.wav")]
    assert [str(p) for p in stems(files, Path("out")).values()] == ["out/a.wav", "out/a.mp3", "out/b"]


def test_files_with_one_name_are_refused() -> None:
    for files in ([Path("x/a.wav"), Path("y/a.wav")], [Path("a.wav"), Path("a.wav")]):
        with pytest.raises(ClientError, match="same name"):
            stems(files, Path())
