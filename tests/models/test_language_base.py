"""Languages with real `base`, in short windows: found, kept apart, and translated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, JobKind, Pcm
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.options import EngineOptions
from cohear_server.errors import ClientError
from cohear_server.models.catalog import find_model
from cohear_server.models.sources import SourceOptions

pytestmark = pytest.mark.model

SAMPLES = Path(__file__).parents[2] / "audio_samples"
GERMAN, ENGLISH = "de_rhasspy-0919.flac", "jfk.flac"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> WhisperEngine:
    try:
        found = find_model("base", options=SourceOptions(offline=True))
    except ClientError as fault:
        pytest.skip(f"the weights of base are not here: {fault}")
    engine = WhisperEngine(EngineOptions("base", found.directory, device="cpu", compute_type="int8", threads=1))
    assert engine.info.short_windows
    return engine


def clip(name: str, seconds: float = 5.0) -> Pcm:
    pcm, rate_hz = soundfile.read(SAMPLES / name, dtype="int16")
    assert rate_hz == SAMPLE_RATE_HZ
    return np.asarray(pcm[: int(seconds * SAMPLE_RATE_HZ)], np.int16)


def decode(engine: WhisperEngine, *windows: tuple[Pcm, DecodeOptions]) -> list[DecodeResult]:
    jobs = [DecodeJob(str(i), "s", "t", 0, pcm, JobKind.FINAL, 1.0, how) for i, (pcm, how) in enumerate(windows)]
    return engine.decode(jobs)


@pytest.mark.parametrize("seconds", [3.0, 5.0])
def test_each_window_of_a_batch_finds_its_own_language(base: WhisperEngine, seconds: float) -> None:
    how = DecodeOptions("base")
    german, english = decode(base, (clip(GERMAN, seconds), how), (clip(ENGLISH, seconds), how))
    assert (german.language, english.language) == ("de", "en")
    assert german.language_probability > 0.8
    assert english.language_probability > 0.8
    assert "gedeihen" in german.text
    assert "fellow Americans" in english.text


def test_a_language_that_was_told_has_no_probability(base: WhisperEngine) -> None:
    (result,) = decode(base, (clip(GERMAN), DecodeOptions("base", language="de")))
    assert (result.language, result.language_probability) == ("de", 0.0)


def test_german_is_translated_next_to_one_that_is_not(base: WhisperEngine) -> None:
    english, german = decode(
        base,
        (clip(GERMAN), DecodeOptions("base", task="translate")),
        (clip(GERMAN), DecodeOptions("base")),
    )
    assert english.language == german.language == "de"
    assert "gedeihen" in german.text
    words = set(english.text.lower().replace(",", " ").replace(".", " ").split())
    assert {"the", "in"} <= words
    assert "gedeihen" not in words
