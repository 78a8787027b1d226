from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cohear_cli.ledger import Ledger, OutputOptions, coloured, one_line
from cohear_cli.progress import Lines, NoProgress
from cohear_client.errors import ClientError
from cohear_client.fileevents import Advanced, Finished, Started
from cohear_client.protocol import Final, Timing, Word
from cohear_client.subtitles import STANDARD
from cohear_client.transcript import Transcript

PRINTED = OutputOptions((), STANDARD)
A, B, C = Path("a.wav"), Path("b.wav"), Path("c.wav")


def said(text: str, confidence: float = 0.9) -> Transcript:
    words = (Word(text, 0.0, 1.0, confidence),)
    return Transcript((Final(0, 0, text, confidence, "en", 0.0, 1.0, "endpoint", "m", Timing(), words),))


def test_texts_are_printed_in_the_order_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    ledger = Ledger(PRINTED, NoProgress(), [A, B, C])
    ledger.hear(Finished(C, said("three"), None, 1.0), {})
    ledger.hear(Finished(B, None, ClientError("bad_file", "b.wav: is bad", "mend it"), 0.0), {})
    assert capsys.readouterr() == ("", "")
    ledger.hear(Finished(A, said("one"), None, 1.0), {})
    assert capsys.readouterr() == ("== a.wav\none\n== c.wav\nthree\n", "b.wav: is bad: mend it\n")
    assert ledger.failed == 1


def test_a_file_without_words_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    ledger = Ledger(OutputOptions((), STANDARD, quiet=True), NoProgress(), [A])
    ledger.hear(Finished(A, Transcript(()), None, 2.0), {})
    assert capsys.readouterr() == ("", "a.wav: no words were heard in 2.0 s of audio\n")


def test_the_report_has_a_row_a_file(tmp_path: Path) -> None:
    ledger = Ledger(OutputOptions(("txt", "srt"), STANDARD), NoProgress(), [A, B, C])
    ledger.skip(C)
    ledger.hear(Finished(A, said("one"), None, 2.5), {A: tmp_path / "a"})
    ledger.hear(Finished(B, said("two"), None, 1.0, cached=True), {B: tmp_path / "missing" / "b"})
    ledger.write_report(tmp_path / "report.json")
    report: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())
    assert [row["status"] for row in report["files"]] == ["skipped", "done", "cached"]
    assert report["files"][1]["outputs"] == [str(tmp_path / "a.txt"), str(tmp_path / "a.srt")]
    summary = report["summary"]
    assert (summary["files"], summary["failed"], summary["audio_s"]) == (3, 0, 3.5)


def test_an_output_that_cannot_be_written_fails_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    ledger = Ledger(OutputOptions(("txt",), STANDARD), NoProgress(), [A])
    ledger.hear(Finished(A, said("one"), None, 2.5), {A: tmp_path / "file" / "a"})
    assert ledger.failed == 1
    assert "cannot be written" in capsys.readouterr().err


def test_json_lines_hold_every_event(capsys: pytest.CaptureFixture[str]) -> None:
    ledger = Ledger(OutputOptions((), STANDARD, as_lines=True), Lines(), [A])
    for event in (Started(A, 3.0), Advanced(A, 3.0), Finished(A, said("one"), None, 3.0)):
        ledger.hear(event, {})
    ledger.show_summary(1)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["event"] for row in rows] == ["started", "advanced", "finished", "summary"]
    assert rows[2]["file"] == "a.wav"


def test_colours_go_from_red_to_green() -> None:
    assert coloured(said("sure", 1.0)) == "\033[38;5;46msure\033[0m\n"
    assert coloured(said("unsure", 0.0)) == "\033[38;5;196munsure\033[0m\n"


def test_names_with_line_ends_stay_one_line() -> None:
    assert one_line("a\nb\x1b.wav") == "a\\nb\\x1b.wav"
