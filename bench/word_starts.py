"""How far our word starts are from those that faster-whisper measures on the same weights, padded to 30 s."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, HypothesisWord, JobKind, Pcm
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.second_try import settled
from cohear_server.lab.clips import Clip
from cohear_server.lab.scoring import matched
from faster_whisper import WhisperModel


def median_apart_ms(engine: WhisperEngine, folder: Path, clips: Sequence[Clip]) -> float | None:
    """Median distance in ms over words that both heard; None where there are none. Ours are measured as in the service:
    by alignment, in short windows."""
    rival = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
    apart_ms: list[float] = []
    for clip in clips:
        pcm = clip.pcm()
        options = DecodeOptions(engine.info.name, clip.lang or None, word_times=True)
        (own,) = settled(engine.decode, [DecodeJob("", "", "", 0, pcm, JobKind.FINAL, 1.0, options)])
        apart_ms += _apart_ms(own.words, _rival_words(rival, pcm, own.language), own.language)
    return round(float(np.median(apart_ms)), 1) if apart_ms else None


def _rival_words(rival: WhisperModel, pcm: Pcm, lang: str) -> list[tuple[str, float]]:
    """Each word, and where it starts in seconds."""
    segments, _ = rival.transcribe(
        pcm.astype(np.float32) / np.float32(32768),
        language=lang,
        beam_size=1,
        temperature=0,
        word_timestamps=True,
        condition_on_previous_text=False,
        vad_filter=False,
    )
    return [(word.word.strip(), word.start) for segment in segments for word in segment.words or ()]


def _apart_ms(ours: Sequence[HypothesisWord], theirs: Sequence[tuple[str, float]], lang: str) -> list[float]:
    pairs = matched([word.text for word in ours], [text for text, _ in theirs], lang)
    return [1000 * abs(ours[a].start_samples / SAMPLE_RATE_HZ - theirs[b][1]) for a, b in pairs]
