"""Tail states: how a stock Whisper decodes a short window as well as one padded to 30 s.

Whisper was trained on 30 s inputs. Given only the few seconds that were spoken it hears the words just
as well, but does not know where to stop, and loops. Padding cures that at seven to twelve times the encoder's
cost. Here only the short window is encoded, and vectors of *silence after speech* are appended to the
encoder's output; the decoder sees "speech, then the usual end", and stops.

The vectors are averages, position by position, of what the encoder itself gives for the silent rest of some
padded clips (`profiling` makes them): no training, no change to the weights. Position-matched means
that state n of a filled window is the average of the states that stood at n: the encoder adds positions to
its input, so they are part of what a state says.

Better still are a few vectors trained for it, with the weights left as they are (`EndStates`, bench/train_tail.py): a
tenth of the states, less silence before them, and nearer to what the decoder says of 30 s. Kin: the "hush word" of
WhisperFlow (arXiv 2412.11272), which is learned too, but on the input side, before the encoder; and `audio_ctx` of
whisper.cpp, which shortens the window but appends nothing to the encoder's output.

A tail is also the filler of a batch: windows of different lengths, each encoded at its own, become one tensor. They are
filled to fixed lengths, so that a window gives the same words in any company.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

States: TypeAlias = NDArray[np.float32]
"""encoder output, [states, d_model]"""

STATE_S = 0.02

MAX_STATES = 1500
"""Whisper's encoder positions end at 30 s"""


FILLED_STATES = (350, 500, 750, 1000, 1250, MAX_STATES)
"""How long filled windows are. How long a tail is must not depend on what else is in the batch, or the same window
would give other words in other company (58 of 320 did, when a batch was as long as its longest window). A state costs
the decoder 0.04 ms a window (tiny.en), so the first step suits partials: 20 ms with 350 states, 24 with 500."""


class Tail(Protocol):
    @property
    def rows(self) -> States:
        """[n, d_model]"""
        ...

    def fill(self, states: States, frames: int) -> States:
        """`states` followed by the tail up to `frames` states in all; unchanged if it is that long already."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class EndStates:
    """Trained states: `rows[i]` is the i-th after the window, wherever that is; the last one repeats as filler."""

    rows: States

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or not len(self.rows):
            raise ValueError(f"end states of shape {self.rows.shape} are none")

    def fill(self, states: States, frames: int) -> States:
        if len(states) >= frames:
            return states
        places = np.minimum(np.arange(frames - len(states)), len(self.rows) - 1)
        return np.concatenate([states, np.take(self.rows, places, axis=0)])


@dataclass(frozen=True, slots=True, eq=False)
class TailStates:
    """`rows[i]` is the average state of silence at positions `offset + i * step` and the `step - 1` after it; the last
    row reaches to the last position."""

    rows: States
    offset: int
    step: int = 1

    def __post_init__(self) -> None:
        spare = self.offset + len(self.rows) * self.step - MAX_STATES
        if self.rows.ndim != 2 or not len(self.rows) or not 0 <= spare < self.step:
            raise ValueError(f"tail states of shape {self.rows.shape} from position {self.offset} do not end at 1500")

    def at(self, start: int, stop: int) -> States:
        """The tail from position `start` up to `stop` <= MAX_STATES; before `offset` the first known row stands in."""
        places = np.maximum(np.arange(start, stop) - self.offset, 0)
        return np.take(self.rows, places // self.step, axis=0)

    def thinned(self, step: int) -> TailStates:
        """The same with one row, the average, for `step` positions: they differ little, and a file is that smaller."""
        if self.step != 1:
            raise ValueError("thinned already")
        starts = np.arange(0, len(self.rows), step)
        counts = np.diff(starts, append=len(self.rows))[:, None]
        means = np.add.reduceat(self.rows, starts, axis=0) / counts
        return TailStates(means.astype(np.float32), self.offset, step)

    def fill(self, states: States, frames: int) -> States:
        return np.concatenate([states, self.at(len(states), frames)]) if len(states) < frames else states


FINE_STATES = tuple(range(200, MAX_STATES + 1, 100))
"""The same for work that can wait for windows of nearly one length: 8 % less in the decoder."""


def filled_length(states: int, tail: int, steps: Sequence[int] = FILLED_STATES) -> int:
    """States of a window of `states` once it is filled: at least `tail` more, one of `steps`."""
    return next((filled for filled in steps if states + tail <= filled), MAX_STATES)
