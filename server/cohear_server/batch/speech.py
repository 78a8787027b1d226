"""Speech probability of whole blocks of a file: one detector for each file, one probability every 32 ms.

It is the same network as in the live service. But a file is there already, so the network runs over seconds at once,
which is several times cheaper. Where the samples are nearly zero it does not run.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.vad import Probabilities, Silero, SileroNetwork, level
from ..models.silero import load_silero

CHUNK_SAMPLES = Silero.CHUNK
SILENT_DB = -93.0
RUN_CHUNKS = 64
"""Chunks in one run of the network: 2 s. More is no cheaper."""

STEADY_SHARE = 0.6
"""With at least this share of speech in a run, the next run is judged by its level alone."""
STEADY_DB = 6.0
"""How much louder or softer that next run may be."""
QUIET_DB = 24.0
"""In such a run, so much below the loud tenth of the run before is a pause."""

DetectorName = Literal["silero", "energy", "none"]


class SpeechDetector(Protocol):
    def push(self, chunks: NDArray[np.int16]) -> Probabilities:
        """int16 [n, CHUNK_SAMPLES], the next chunks of one file -> speech probability [n]."""
        ...


def make_detector(name: DetectorName) -> SpeechDetector:
    """A detector for one file."""
    match name:
        case "silero":
            return SileroDetector(load_silero())
        case "energy":
            return EnergyDetector()
        case "none":
            return NoDetector()


class SileroDetector:
    """In continuous speech every second run is judged by its level, without the network."""

    def __init__(self, network: SileroNetwork) -> None:
        self._silero = Silero(network)
        self._steady = False
        self._speech_db = 0.0

    def push(self, chunks: NDArray[np.int16]) -> Probabilities:
        out = np.zeros(len(chunks), np.float32)
        for begin in range(0, len(chunks), RUN_CHUNKS):
            run = chunks[begin : begin + RUN_CHUNKS]
            out[begin : begin + len(run)] = self._run(run)
        return out

    def _run(self, chunks: NDArray[np.int16]) -> Probabilities:
        levels = level(chunks)
        if len(chunks) == RUN_CHUNKS and float(levels.max()) < SILENT_DB:
            self._silero.skip(chunks[-1])
            return np.zeros(len(chunks), np.float32)
        if self._steady:
            self._steady = False
            if abs(float(np.percentile(levels, 90)) - self._speech_db) < STEADY_DB:
                self._silero.skip(chunks[-1])
                return np.where(levels > self._speech_db - QUIET_DB, np.float32(0.9), np.float32(0.1))
        found = self._silero.run(chunks.reshape(-1))
        self._steady = len(found) == RUN_CHUNKS and float((found > 0.5).mean()) >= STEADY_SHARE
        self._speech_db = float(np.percentile(levels, 90))
        return found


class EnergyDetector:
    """Speech is what is 10 dB above the floor: the level of the softest tenth of the last half minute. For tests."""

    def __init__(self) -> None:
        self._levels = np.zeros(0, np.float32)

    def push(self, chunks: NDArray[np.int16]) -> Probabilities:
        levels = level(chunks) if len(chunks) else np.zeros(0, np.float32)
        self._levels = np.concatenate([self._levels, levels])[-1000:]
        floor = float(np.percentile(self._levels, 10)) if len(self._levels) else 0.0
        return np.asarray((levels > max(-60.0, min(floor + 10.0, -30.0))) * 0.9, np.float32)


class NoDetector:
    """Everything is speech."""

    def push(self, chunks: NDArray[np.int16]) -> Probabilities:
        return np.ones(len(chunks), np.float32)
