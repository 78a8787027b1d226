"""All cases in one run of `cohear transcribe` with the real tiny.en. `make cases` has servers and live streams too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohear_cli import main
from cohear_cli.usage import EXIT_WARNED

from .cases import CASES, Case, encoded, make_all, packets_changed, silence, speech, written

pytestmark = pytest.mark.model
Rows = dict[str, dict[str, Any]]


def transcribed(folder: Path, paths: list[Path]) -> tuple[int, Rows, dict[str, Any]]:
    """Exit code, the report's row of each file, and its output."""
    report = folder / "report.json"
    arguments = ["--format", "json", "--output-dir", str(folder / "out"), "--report", str(report), "--quiet"]
    code = main(["transcribe", *map(str, paths), *arguments, "--no-cache", "--device", "cpu"])
    rows = {Path(row["file"]).name: row for row in json.loads(report.read_text())["files"]}
    texts = {name: json.loads(Path(row["outputs"][0]).read_text()) for name, row in rows.items() if row.get("outputs")}
    return code, rows, texts


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, tiny_en_dir: Path) -> tuple[int, Rows, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("cases")
    return transcribed(folder, make_all(folder / "in"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_word_is_heard(done: tuple[int, Rows, dict[str, Any]], case: Case) -> None:
    _, rows, texts = done
    assert re.search(case.text, texts[case.name]["text"].lower(), re.DOTALL), texts[case.name]["text"]
    assert ("fault" in rows[case.name]) == case.damaged
    assert rows[case.name].get("fault", {}).get("code", "damaged") == "damaged"


def test_damage_in_a_file_is_an_exit_code_of_its_own(done: tuple[int, Rows, dict[str, Any]]) -> None:
    assert done[0] == EXIT_WARNED


def test_times_follow_presentation_and_words_the_speech_they_belong_to(tmp_path: Path, tiny_en_dir: Path) -> None:
    jfk = speech("jfk")
    cuts = [(0.0, 2.6), (2.9, 4.85), (4.95, 7.95), (7.95, 11.0)]
    parts = [part for a, b in cuts for part in (jfk[int(a * 16_000) : int(b * 16_000)], silence(1.5))]
    (tmp_path / "pauses.wav").write_bytes(written("WAV", np.concatenate(parts)))
    twice = encoded("webm", "libopus", np.concatenate([jfk, silence(8.0), jfk]), 48_000)
    gap = packets_changed("webm", twice, lambda _, at_s: "drop" if 11.3 < at_s < 18.8 else "keep")
    (tmp_path / "gap.webm").write_bytes(gap)
    code, _, texts = transcribed(tmp_path, [tmp_path / "pauses.wav", tmp_path / "gap.webm"])
    assert code == 0
    words = [word for segment in texts["pauses.wav"]["segments"] for word in segment["words"]]
    assert max(word["end"] - word["start"] for word in words) < 1.0
    first = {word["word"].strip(" ,.").lower(): word for word in reversed(words)}
    assert first["ask"]["start"] == pytest.approx(4.4, abs=0.3)
    assert first["what"]["start"] == pytest.approx(7.9, abs=0.3)
    assert first["you"]["end"] == pytest.approx(10.4, abs=0.3)
    starts = [segment["start"] for segment in texts["gap.webm"]["segments"]]
    assert min(start for start in starts if start > 12) == pytest.approx(19.2, abs=0.3)


@pytest.mark.parametrize("level_db", [-20, -40])
def test_nothing_is_made_up_of_quiet_noise(tmp_path: Path, tiny_en_dir: Path, level_db: float) -> None:
    for name in ("room-bg_noise5", "synthetic-chords"):
        softer = np.asarray(speech(name) * 10 ** (level_db / 20), np.float32)
        (tmp_path / f"{name}.wav").write_bytes(written("WAV", softer, "PCM_24"))
    _, _, texts = transcribed(tmp_path, sorted(tmp_path.glob("*.wav")))
    assert {text["text"] for text in texts.values()} == {""}
