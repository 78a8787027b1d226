"""The fate of every sample of a stream: transcribed, silent, or shed.

The timeline is settled from the left, each stretch once, at 16 kHz; counts are kept in the client's
samples through the exact map of `AudioDecoder`, so they add up whatever the two rates are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .audio import AudioDecoder

Fate = Literal["transcribed", "silent", "shed"]


@dataclass(frozen=True, slots=True)
class SampleCount:
    """In the client's samples: `transcribed + silent + shed == received` once the stream is done."""

    received: int = 0
    transcribed: int = 0
    silent: int = 0
    shed: int = 0


@dataclass(frozen=True, slots=True)
class LedgerState:
    """`settled` at 16 kHz, everything else in the client's samples."""

    settled: int = 0
    settled_received: int = 0
    transcribed: int = 0
    silent: int = 0
    shed: int = 0


class Ledger:
    def __init__(self, decoder: AudioDecoder) -> None:
        self._decoder = decoder
        self._counts: dict[Fate, int] = {"transcribed": 0, "silent": 0, "shed": 0}
        self.settled = 0
        """samples at 16 kHz, from the start, whose fate is known"""
        self._settled_outer = 0

    def settle(self, until: int, fate: Fate) -> int:
        """All samples from `settled` up to `until` met this fate. Returns their number, in client samples."""
        if until < self.settled:
            raise ValueError(f"sample {until} is settled already (up to {self.settled})")
        outer = max(self._settled_outer, self._decoder.to_outer(until))
        moved = outer - self._settled_outer
        self._counts[fate] += moved
        self.settled, self._settled_outer = until, outer
        return moved

    def move_to_shed(self, samples: int) -> None:
        """A stretch of `samples` (as `settle` returned) that counted as transcribed could not be decoded."""
        self._counts["transcribed"] -= samples
        self._counts["shed"] += samples

    def close(self, fate: Fate) -> None:
        """Settle the remainder, so that the three counts add up to what was received."""
        self._counts[fate] += self._decoder.received - self._settled_outer
        self._settled_outer = self._decoder.received

    def state(self) -> LedgerState:
        return LedgerState(self.settled, self._settled_outer, **self._counts)

    def restore(self, state: LedgerState) -> None:
        self.settled, self._settled_outer = state.settled, state.settled_received
        self._counts = {"transcribed": state.transcribed, "silent": state.silent, "shed": state.shed}

    def count(self) -> SampleCount:
        return SampleCount(received=self._decoder.received, **self._counts)
