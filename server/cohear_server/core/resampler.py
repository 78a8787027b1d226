"""int16 at any rate to int16 at 16 kHz, as it comes in: the same samples give the same samples, in whatever pieces.

libsoxr adds random dither to integers, so half of its samples would differ from one time to the next, and audio that
comes again would not be known. In floats it adds none. Its state cannot be read; so the newest input is kept, from
which another one goes on where this one is (`resumed`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import soxr

from .jobs import SAMPLE_RATE_HZ, Pcm

KEPT_S = 0.3
"""of input: what libsoxr holds back (up to 0.12 s at 8 kHz) and its filter's length, with room to spare"""


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest input of a resampler, from input sample `start` on, and how many samples came out."""

    start: int = 0
    pcm: bytes = b""
    """int16, little endian"""
    produced: int = 0


class Resampler:
    """It holds back a few ms until later input or `end`."""

    def __init__(self, from_hz: int) -> None:
        self._stream = soxr.ResampleStream(from_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
        self._from_hz = from_hz
        self._step = from_hz // math.gcd(from_hz, SAMPLE_RATE_HZ)
        """input samples after which both rates have a whole number"""
        self._kept: Pcm = np.zeros(0, np.int16)
        self._taken = 0
        self._position = 0
        """of the next output sample"""
        self._ahead: Pcm = np.zeros(0, np.int16)
        """came out while it caught up, and belongs to the next output"""
        self.produced = 0
        """samples that came out: less than the position while it catches up"""

    @classmethod
    def resumed(cls, from_hz: int, tail: Tail) -> Resampler:
        """One that goes on where another one was. Its samples differ from that one's by 1 at most, by rounding."""
        resampler = cls(from_hz)
        resampler._taken = tail.start
        resampler._position = tail.start * SAMPLE_RATE_HZ // from_hz
        resampler.produced = tail.produced
        resampler._ahead = resampler.push(np.frombuffer(tail.pcm, "<i2").astype(np.int16))
        return resampler

    def tail(self) -> Tail:
        """What another one needs to go on from here."""
        start = self._taken - len(self._kept)
        return Tail(start, self._kept.astype("<i2").tobytes(), self.produced - len(self._ahead))

    def push(self, pcm: Pcm) -> Pcm:
        self._keep(pcm)
        return self._resampled(pcm, last=False)

    def end(self) -> Pcm:
        """What it still holds; nothing may be pushed after it."""
        return self._resampled(np.zeros(0, np.int16), last=True)

    def _keep(self, pcm: Pcm) -> None:
        """The newest input, from a sample on that both rates have."""
        self._taken += len(pcm)
        oldest = max(0, self._taken - int(KEPT_S * self._from_hz)) // self._step * self._step
        kept = np.concatenate([self._kept, pcm])
        self._kept = kept[max(0, len(kept) - (self._taken - oldest)) :]

    def _resampled(self, pcm: Pcm, *, last: bool) -> Pcm:
        wave = np.asarray(self._stream.resample_chunk(pcm.astype(np.float32), last=last))
        samples: Pcm = np.rint(wave).clip(-32768, 32767).astype(np.int16)
        known = min(len(samples), max(0, self.produced - self._position))
        self._position += len(samples)
        fresh = samples[known:]
        self.produced += len(fresh)
        ahead, self._ahead = self._ahead, fresh[:0]
        return np.concatenate([ahead, fresh]) if len(ahead) else fresh
