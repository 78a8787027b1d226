"""Resamples int16 at any rate to int16 at 16 kHz, streaming. The result does not depend on how the audio is divided.

libsoxr adds random dither to integers: the same audio would give other samples each time, and the cache would not
recognise it. With floats it adds none. Its state cannot be read, so the newest input is kept; another resampler can
continue from it (`resumed`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import soxr

from .jobs import SAMPLE_RATE_HZ, Pcm

KEPT_S = 0.3
"""kept input: more than libsoxr holds back (up to 0.12 s at 8 kHz) and the length of its filter"""


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
        """position of the next output sample"""
        self._ahead: Pcm = np.zeros(0, np.int16)
        """output that came while it caught up; it belongs to the next output"""
        self.produced = 0
        """samples that came out; while it catches up, fewer than the position"""

    @classmethod
    def resumed(cls, from_hz: int, tail: Tail) -> Resampler:
        """A resampler that continues where another one was. Its samples differ from that one's by at most 1."""
        resampler = cls(from_hz)
        resampler._taken = tail.start
        resampler._position = tail.start * SAMPLE_RATE_HZ // from_hz
        resampler.produced = tail.produced
        resampler._ahead = resampler.push(np.frombuffer(tail.pcm, "<i2").astype(np.int16))
        return resampler

    def tail(self) -> Tail:
        """What another resampler needs to continue from here."""
        start = self._taken - len(self._kept)
        return Tail(start, self._kept.astype("<i2").tobytes(), self.produced - len(self._ahead))

    def push(self, pcm: Pcm) -> Pcm:
        self._keep(pcm)
        return self._resampled(pcm, last=False)

    def end(self) -> Pcm:
        """The samples that it still holds; nothing may be pushed after this."""
        return self._resampled(np.zeros(0, np.int16), last=True)

    def _keep(self, pcm: Pcm) -> None:
        """Keep the newest input, from a sample that exists at both rates."""
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
