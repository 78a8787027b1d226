"""Tail states: how a stock Whisper decodes a short window as well as one padded to 30 s.

Whisper was trained on inputs of 30 s. From only the few seconds that were spoken it hears the words just as well, but
it does not know where to stop, and loops. Padding to 30 s solves that at many times the encoder's cost. Here only the
short window is encoded, and vectors of *silence after speech* are appended to the encoder's output. The decoder sees
"speech, then the usual end", and stops.

The vectors are averages, position by position, of the encoder's output for the silent rest of some padded clips
(`lab.profiling` makes them): no training, no change to the weights. State n of a filled window is the average of the
states that were at position n, because the encoder adds positions to its input, so a state depends on its position.

A few vectors that are trained for it are better still; the weights do not change (`EndStates`, bench/train_tail.py).
They need a tenth of the states and less silence before them, and the text is nearer to that of 30 s. Related work: the
"hush word" of WhisperFlow (arXiv 2412.11272) is also learned, but before the encoder; `audio_ctx` of whisper.cpp
shortens the window but appends nothing to the encoder's output.

A tail also fills a batch: windows of different lengths, each encoded at its own, become one tensor. They are filled to
fixed lengths, so that a window gives the same words whatever else is in its batch.
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
"""The lengths of filled windows. The length of a tail must not depend on what else is in the batch, or the same window
would give other words in other batches. The first length suits partials: each state costs the decoder time."""


class Tail(Protocol):
    @property
    def rows(self) -> States:
        """[n, d_model]"""
        ...

    def fill(self, states: States, frames: int) -> States:
        """`states` and then the tail, `frames` states in all; unchanged if there are as many already."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class EndStates:
    """Trained states: `rows[i]` is the i-th state after the window, at any position; the last one repeats as filler."""

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
        """The tail from position `start` up to `stop` <= MAX_STATES; before `offset`, the first known row is used."""
        places = np.maximum(np.arange(start, stop) - self.offset, 0)
        return np.take(self.rows, places // self.step, axis=0)

    def thinned(self, step: int) -> TailStates:
        """The same with one average row for each `step` positions: they differ little, and the file is smaller."""
        if self.step != 1:
            raise ValueError("thinned already")
        starts = np.arange(0, len(self.rows), step)
        counts = np.diff(starts, append=len(self.rows))[:, None]
        means = np.add.reduceat(self.rows, starts, axis=0) / counts
        return TailStates(means.astype(np.float32), self.offset, step)

    def fill(self, states: States, frames: int) -> States:
        return np.concatenate([states, self.at(len(states), frames)]) if len(states) < frames else states


FINE_STATES = tuple(range(200, MAX_STATES + 1, 100))
"""The same for work that can wait for windows of similar length; it is cheaper in the decoder."""


def filled_length(states: int, tail: int, steps: Sequence[int] = FILLED_STATES) -> int:
    """The length to which a window of `states` is filled: one of `steps`, with at least `tail` states more."""
    return next((filled for filled in steps if states + tail <= filled), MAX_STATES)
