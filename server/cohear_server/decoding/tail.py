"""Tail states: how a stock Whisper decodes a short window as well as one padded to 30 s.

Whisper was trained on 30 s inputs. Given only the few seconds that were spoken it hears the words just
as well, but does not know where to stop, and loops. Padding cures that at seven to twelve times the encoder's
cost. Here only the short window is encoded, and vectors of *silence after speech* are appended to the
encoder's output; the decoder sees "speech, then the usual end", and stops.

The vectors are averages, position by position, of what the encoder itself gives for the silent rest of some
padded clips (`profiling` makes them): no training, no change to the weights. Kin: the trained "hush word" of
WhisperFlow (arXiv 2412.11272), which is learned by gradient descent on the input side, and `audio_ctx` of
whisper.cpp, which shortens the window but appends nothing to the encoder's output. Position-matched means
that state n of a filled window is the average of the states that stood at n: the encoder adds positions to
its input, so they are part of what a state says.

It is also the filler of a batch: windows of different lengths, each encoded at its own, become one tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

States: TypeAlias = NDArray[np.float32]
"""encoder output, [states, d_model]; one state is 20 ms"""

MAX_STATES = 1500
"""Whisper's encoder positions end at 30 s"""


@dataclass(frozen=True, slots=True, eq=False)
class TailStates:
    """`rows[i]` is the average state of silence at position `offset + i`; the last one stands at MAX_STATES - 1."""

    rows: States
    offset: int

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or not len(self.rows) or self.offset + len(self.rows) != MAX_STATES:
            raise ValueError(f"tail states of shape {self.rows.shape} from position {self.offset} do not end at 1500")

    def at(self, start: int, stop: int) -> States:
        """The tail from position `start` up to `stop` <= MAX_STATES; before `offset` the first known row stands in."""
        return self.rows[np.maximum(np.arange(start, stop) - self.offset, 0)]

    def fill(self, states: States, frames: int) -> States:
        """`states` followed by the tail up to `frames` states in all; unchanged if it is that long already."""
        return np.concatenate([states, self.at(len(states), frames)]) if len(states) < frames else states

    def stack(self, windows: Sequence[States], tail: int) -> NDArray[np.float32]:
        """One tensor [windows, states, d_model] that ends `tail` states after the longest window, or at 30 s."""
        frames = min(MAX_STATES, max(map(len, windows)) + tail)
        return np.stack([self.fill(states, frames) for states in windows])
