"""Evaluation: the clips it takes, how long ones are cut, and what it says of a real model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cohear_server.core.jobs import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, DecodeResult, HypothesisWord
from cohear_server.lab.clips import Clip, choose, grouped, read_clips, windows_of
from cohear_server.lab.evaluation import ClipReading, evaluate, table
from cohear_server.models.catalog import find_model
from cohear_server.models.sources import SourceOptions

SAMPLES = Path(__file__).parents[2] / "audio_samples"


def clip(group: str = "g", speaker: str = "s", reference: str | None = "hello there", number: int = 0) -> Clip:
    return Clip(Path(f"{number}.flac"), group, speaker, "en", reference, 1.0)


def result(*words: str, probability: float = 0.8) -> DecodeResult:
    spelled = tuple(HypothesisWord(word, 0, 1, probability) for word in words)
    return DecodeResult("", text=" ".join(words), words=spelled, language="en")


# --- clips ----------------------------------------------------------------------------------------


def test_manifest_is_read_with_what_it_tells() -> None:
    clips = {one.path.name: one for one in read_clips(SAMPLES)}
    assert clips["de_rhasspy-0919.flac"].lang == "de"
    assert clips["synthetic-chords.flac"].reference == ""
    assert clips["jfk.flac"].group == "misc"
    assert len(clips["3_george_0.flac"].pcm()) == pytest.approx(0.497 * SAMPLE_RATE_HZ, abs=200)


def test_folder_without_manifest_has_no_references(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    soundfile.write(tmp_path / "calls" / "a.wav", np.zeros(8000, np.int16), 8000)
    (one,) = read_clips(tmp_path)
    assert (one.group, one.reference, one.lang, one.seconds) == ("calls", None, "", 1.0)
    assert len(one.pcm()) == SAMPLE_RATE_HZ


def test_recordings_beyond_a_window_are_a_group_of_their_own(tmp_path: Path) -> None:
    rows = [{"file": "a.flac", "seconds": 31, "corpus": "x"}, {"file": "b.flac", "seconds": 30, "corpus": "x"}]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert {name: len(members) for name, members in grouped(read_clips(tmp_path)).items()} == {"long": 1, "x": 1}


def test_speakers_take_turns() -> None:
    clips = [clip(speaker="a", number=0), clip(speaker="a", number=1), clip(speaker="b", number=2)]
    assert [one.path.stem for one in choose(clips, 2)] == ["0", "2"]
    assert len(choose(clips, 9)) == 3
    assert choose([], 3) == []


def test_long_recordings_are_cut_at_pauses() -> None:
    speech = clip_of("jfk.flac")
    pause = np.zeros(2 * SAMPLE_RATE_HZ, np.int16)
    windows = windows_of(np.concatenate([speech, pause, speech, pause, speech]))
    assert len(windows) >= 3
    assert all(0 < len(window) < MAX_WINDOW_SAMPLES for window in windows)
    assert sum(map(len, windows)) > 0.8 * 3 * len(speech)
    assert windows_of(speech)[0] is speech


def clip_of(name: str) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.asarray(soundfile.read(SAMPLES / name, dtype="int16")[0], np.int16)


# --- what was heard -------------------------------------------------------------------------------


def test_texts_errors_and_ratings_go_by_clip() -> None:
    clips = [clip(), clip(reference=""), clip(reference=None)]
    heard = ClipReading(clips, [[result("Hello"), result("then.")], [result("you")], [result("what")]], 10.0)
    assert heard.texts() == ["Hello then.", "you", "what"]
    assert [(one.words, one.errors) for one in heard.errors()] == [(2, 1)]
    assert heard.words_on_silence() == 1
    assert heard.rated() == ([0.8, 0.8], [True, False])
    assert heard.loops == 0


def test_loops_are_counted_by_window() -> None:
    heard = ClipReading([clip()], [[result(*["go", "on"] * 6), result("fine")]], 10.0)
    assert heard.loops == 1
    assert heard.words_on_silence() is None


@pytest.mark.usefixtures("tiny_en_dir")
@pytest.mark.model
def test_a_real_model() -> None:
    wanted = {"jfk.flac", "LJ001-0004.flac", "room-bg_noise5.flac", "de_rhasspy-0919.flac"}
    clips = [one for one in read_clips(SAMPLES) if one.path.name in wanted]
    lines: list[str] = []
    found = evaluate(find_model("tiny.en", options=SourceOptions(offline=True)), clips, 5, lines.append)
    rows = {row.name: row for row in found.sets}
    assert rows.keys() == {"misc", "ljspeech", "nonspeech"}, "German is not for an English model"
    assert rows["misc"].wer_short is not None
    assert rows["misc"].wer_short.percent < 10
    assert (rows["misc"].words, rows["misc"].loops_short) == (22, 0)
    assert (rows["misc"].cpu_ms_per_s_short or 0) < rows["misc"].cpu_ms_per_s_padded
    assert rows["nonspeech"].wer_short is None
    assert rows["nonspeech"].silence_words_short is not None
    assert found.ece is None, "thirty words say nothing"
    assert len(lines) == len(table(found)) == 3
