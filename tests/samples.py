"""The clips in `audio_samples/`, for all tests."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

FOLDER = Path(__file__).parent.parent / "audio_samples"


@dataclass(frozen=True, slots=True)
class Sample:
    path: Path
    text: str
    norm: str
    lang: str
    seconds: float

    def __str__(self) -> str:
        return self.path.stem

    def pcm16k(self) -> NDArray[np.int16]:
        """int16 mono at 16 kHz."""
        return _read(self.path)


def load_samples(*, speech: bool, at_least_s: float = 0.0, lang: str | None = None) -> list[Sample]:
    """Clips with words (or without), in the manifest's order."""
    rows = [json.loads(line) for line in (FOLDER / "manifest.jsonl").read_text().splitlines()]
    samples = [Sample(FOLDER / r["file"], r["text"], r["norm"], r["lang"] or "", r["seconds"]) for r in rows]
    wanted = (s for s in samples if bool(s.norm) == speech and s.seconds >= at_least_s)
    return [s for s in wanted if lang is None or s.lang.startswith(lang)]


@functools.cache
def _read(path: Path) -> NDArray[np.int16]:
    pcm, rate_hz = sf.read(path, dtype="int16")
    return np.asarray(pcm if rate_hz == 16_000 else soxr.resample(pcm, rate_hz, 16_000), np.int16)
