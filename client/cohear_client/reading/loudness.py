"""Quiet recordings are raised to where a speech detector hears them.

Detectors hear speech down to about -55 dB and nothing below -65. So the level is followed, upwards at once and
downwards slowly, and what stays below the aim is raised to it: if it comes and goes, as speech does. A steady hum or
hiss stays as quiet as it is. Speech of usual loudness passes sample by sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .sound import Wave

AIM_DB = -45.0
"""of full scale, for the loud frames of speech"""
MOST_DB = 45.0
FALL_DB_PER_S = 6.0
FRAME_S = 0.02
HOP_S = 0.5
HISTORY_FRAMES = 100
LOUD_PERCENTILE, LOW_PERCENTILE = 90, 10
SPREAD_DB = 10.0
"""between loud and low frames: less is a hum"""
LEAST_DB = -96.0


class Loudness:
    """Of one stream or file. Pieces come in order; the gain of a piece follows from what is in it and before it."""

    def __init__(self, rate_hz: int, *, from_quiet: bool) -> None:
        """`from_quiet`: the first sound is taken for as quiet as can be, which suits pieces of a file, of half a second
        and more; else for loud, until some seconds have told."""
        self._frame = max(round(rate_hz * FRAME_S), 1)
        self._hop = max(round(rate_hz * HOP_S), 1)
        self._rate_hz = rate_hz
        self._level_db = AIM_DB - MOST_DB if from_quiet else AIM_DB
        self._levels = np.zeros(0, np.float32)
        self._unheard: list[Wave] = []
        self._gain = np.float32(1.0)

    def push(self, wave: Wave) -> Wave:
        """[n], full scale at 1. What is not raised is given back as it is."""
        if len(wave) <= self._hop:
            return self._raised(wave)
        return np.concatenate([self._raised(wave[at : at + self._hop]) for at in range(0, len(wave), self._hop)])

    def _raised(self, wave: Wave) -> Wave:
        self._unheard.append(wave)
        if sum(map(len, self._unheard)) >= self._frame:
            self._listen(np.concatenate(self._unheard))
            self._unheard.clear()
        return wave if self._gain == 1.0 else wave * self._gain

    def _listen(self, wave: Wave) -> None:
        whole = len(wave) // self._frame * self._frame
        levels = _levels_db(wave[:whole].reshape(-1, self._frame))
        self._levels = np.concatenate([self._levels, levels])[-HISTORY_FRAMES:]
        fallen_db = max(self._level_db - FALL_DB_PER_S * len(wave) / self._rate_hz, AIM_DB - MOST_DB)
        self._level_db = max(float(np.percentile(levels, LOUD_PERCENTILE)), fallen_db)
        low, loud = np.percentile(self._levels, (LOW_PERCENTILE, LOUD_PERCENTILE))
        raise_db = max(AIM_DB - self._level_db, 0.0) if loud - low >= SPREAD_DB else 0.0
        self._gain = np.float32(10 ** (raise_db / 20))


def _levels_db(frames: Wave) -> NDArray[np.float32]:
    return np.asarray(10 * np.log10(np.maximum(np.square(frames).mean(1), 10 ** (LEAST_DB / 10))), np.float32)
