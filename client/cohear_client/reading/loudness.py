"""Quiet recordings are raised to where a speech detector hears them.

Detectors hear speech down to about -55 dB and nothing below -65. So the level is followed, upwards at once and
downwards slowly, and what stays below the aim is raised to it: if it comes and goes, as speech does. A steady hum or
hiss stays as quiet as it is. Speech of usual loudness passes sample by sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sound import Wave

AIM_DB = -38.0
"""of full scale, for the loud frames of speech"""
MOST_DB = 50.0
FALL_DB_PER_S = 6.0
FRAME_S = 0.02
LISTEN_S = 0.2
"""A stream's level is looked at so often; in between only what is suddenly louder counts."""
HOP_S = 0.5
HISTORY_FRAMES = 100
LOUD, LOW = 0.9, 0.1
"""of the frames are softer than the loud ones, and than the low ones"""
SPREAD_DB = 10.0
"""between loud and low frames: less is a hum"""
LEAST_DB = -96.0


class Loudness:
    """Of one stream or file. Pieces come in order; the gain of a piece follows from what is in it and before it."""

    def __init__(self, rate_hz: int, *, from_quiet: bool, full_scale: float = 1.0) -> None:
        """`from_quiet`: the first sound is taken for as quiet as can be, which suits pieces of a file, of half a second
        and more; else for loud, until some seconds have told."""
        self._rate_hz = rate_hz
        self._frame = max(round(rate_hz * FRAME_S), 1)
        self._listen = max(round(rate_hz * LISTEN_S), self._frame)
        self._full_scale = np.float32(full_scale)
        self._level_db = AIM_DB - MOST_DB if from_quiet else AIM_DB
        self._levels = np.zeros(0, np.float32)
        self._unheard: list[NDArray[Any]] = []
        self._unheard_samples = 0
        self._gain = 1.0

    def push(self, wave: Wave) -> Wave:
        """A file's samples [n], raised piece by piece."""
        hop = max(round(self._rate_hz * HOP_S), 1)
        pieces = [wave[at : at + hop] for at in range(0, len(wave), hop)]
        raised = [piece if (gain := self.gain(piece)) == 1.0 else piece * np.float32(gain) for piece in pieces]
        return np.concatenate(raised) if len(raised) > 1 else raised[0] if raised else wave

    def gain(self, piece: NDArray[Any]) -> float:
        """By how much to raise the next samples [n], of any type; 1 or more."""
        self._unheard.append(piece)
        self._unheard_samples += len(piece)
        if self._unheard_samples >= self._listen:
            self._hear(np.concatenate(self._unheard))
            self._unheard.clear()
            self._unheard_samples = 0
        elif self._gain > 1.0 and len(piece):
            self._lower(float(self._levels_db(piece[None])[0]))
        return self._gain

    def _hear(self, wave: NDArray[Any]) -> None:
        whole = len(wave) // self._frame * self._frame
        levels = np.sort(self._levels_db(wave[:whole].reshape(-1, self._frame)))
        self._levels = np.concatenate([self._levels, levels])[-HISTORY_FRAMES:]
        fallen_db = max(self._level_db - FALL_DB_PER_S * len(wave) / self._rate_hz, AIM_DB - MOST_DB)
        self._level_db = max(float(levels[int(LOUD * len(levels))]), fallen_db)
        every = np.sort(self._levels)
        spread_db = float(every[int(LOUD * len(every))] - every[int(LOW * len(every))])
        self._gain = self._gain_for(self._level_db) if spread_db >= SPREAD_DB else 1.0

    def _lower(self, level_db: float) -> None:
        if level_db > self._level_db:
            self._level_db = level_db
            self._gain = self._gain_for(level_db)

    def _gain_for(self, level_db: float) -> float:
        return max(float(10 ** ((AIM_DB - level_db) / 20)), 1.0)

    def _levels_db(self, frames: NDArray[Any]) -> NDArray[np.float32]:
        squares = np.square(frames.astype(np.float32) / self._full_scale).mean(1)
        return np.asarray(10 * np.log10(np.maximum(squares, 10 ** (LEAST_DB / 10))), np.float32)
