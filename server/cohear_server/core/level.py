"""The level of one stream: how much louder quiet speech must be, so that the detector and the model hear it.

Detectors hear speech down to about -55 dB of full scale and nothing below -65. So the level is followed, from the power
of frames: a loud level that rises at once and falls slowly, a low level that falls at once and rises slowly. What stays
below the aim is raised to it, if both are as far apart as in speech; a steady hum or hiss stays as quiet as it is.
Nothing that is kept or counted is changed. Pure: no audio is held.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .jobs import Pcm
from .vad import FRAME_SAMPLES, power

AIM_DB = -38.0
"""of full scale, for the loud frames of speech"""
LEAST_DB, MOST_DB = 6.0, 50.0
"""A smaller gain is none. A larger one would raise the steps of 16-bit samples to a hiss."""
LOOK_FRAMES = 10
"""The level is looked at so often: five times a second."""
DRIFT_DB = 1.2
"""by which the loud level falls and the low level rises from look to look: 6 dB a second"""
SPREAD_DB = 10.0
"""between the loud and the low level: less is no speech"""
FAINT_DB = -85.0
"""What is softer is never raised: it is little more than the steps of 16-bit samples."""
LOUD_FRAMES = 3
"""of a window: fewer may be a click, and the shortest word has more"""
FLOOR_DB = -96.0


@dataclass(frozen=True, slots=True)
class LevelState:
    """The state of `Level`. Levels are in dB of full scale; None: nothing was heard yet."""

    loud_db: float | None = None
    low_db: float | None = None
    gain: float = 1.0
    powers: tuple[float, ...] = ()
    """of the frames since the last look"""


class Level:
    def __init__(self, known: LevelState | None = None) -> None:
        known = known or LevelState()
        self._loud_db, self._low_db = known.loud_db, known.low_db
        self._powers = list(known.powers)
        self.gain = known.gain
        """by which the next frames are raised; 1 or more"""

    def state(self) -> LevelState:
        return LevelState(self._loud_db, self._low_db, self.gain, tuple(self._powers))

    def gains(self, powers: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The gain of each of the next frames, from the frames before it; None if none is raised. `powers` [n]: 1 is
        full scale."""
        gains = []
        for value in powers.tolist():
            gains.append(self.gain)
            self._powers.append(value)
            if len(self._powers) == LOOK_FRAMES:
                self._look()
        return np.array(gains, np.float32) if any(gain > 1.0 for gain in gains) else None

    def _look(self) -> None:
        self._powers.sort()
        # a single frame may be a click
        loud_db, low_db = _decibels(self._powers[-2]), _decibels(self._powers[0])
        self._loud_db = loud_db if self._loud_db is None else max(loud_db, self._loud_db - DRIFT_DB)
        self._low_db = low_db if self._low_db is None else min(low_db, self._low_db + DRIFT_DB)
        self._powers.clear()
        speech = self._loud_db - self._low_db >= SPREAD_DB
        self.gain = _gain(self._loud_db) if speech else 1.0


def amplified(samples: Pcm, gain: float | NDArray[np.float32]) -> Pcm:
    """The samples, louder; what would be beyond full scale is limited to it."""
    louder = np.multiply(samples, gain, dtype=np.float32)
    np.minimum(louder, 32767.0, out=louder)  # both together are cheaper than clip, on frames of 20 ms
    np.maximum(louder, -32768.0, out=louder)
    return louder.astype(np.int16)


def raised(window: Pcm) -> Pcm:
    """A window [n] of speech, such that its loud frames are at the aim; the same array if they are loud enough."""
    count = len(window) // FRAME_SAMPLES
    if not count:
        return window
    powers = power(window[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES))
    place = max(0, count - LOUD_FRAMES)
    gain = _gain(_decibels(float(np.partition(powers, place)[place])))
    return window if gain == 1.0 else amplified(window, gain)


def _gain(loud_db: float) -> float:
    wanted_db = min(AIM_DB - loud_db, MOST_DB)
    return 10 ** (wanted_db / 20) if wanted_db >= LEAST_DB and loud_db >= FAINT_DB else 1.0


def _decibels(value: float) -> float:
    return 10 * math.log10(max(value, 10 ** (FLOOR_DB / 10)))
