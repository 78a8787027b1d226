"""int16 at any rate to int16 at 16 kHz, as it comes in: the same samples give the same samples, in whatever pieces.

libsoxr adds random dither to integers, so half of its samples would differ from one time to the next, and audio that
comes again would not be known. In floats it adds none.
"""

from __future__ import annotations

import numpy as np
import soxr

from .jobs import SAMPLE_RATE_HZ, Pcm


class Resampler:
    """It holds back a few ms until later input or `end`."""

    def __init__(self, from_hz: int) -> None:
        self._stream = soxr.ResampleStream(from_hz, SAMPLE_RATE_HZ, 1, dtype="float32")

    def push(self, pcm: Pcm) -> Pcm:
        return self._resampled(pcm, last=False)

    def end(self) -> Pcm:
        """What it still holds; nothing may be pushed after it."""
        return self._resampled(np.zeros(0, np.int16), last=True)

    def _resampled(self, pcm: Pcm, *, last: bool) -> Pcm:
        wave = np.asarray(self._stream.resample_chunk(pcm.astype(np.float32), last=last))
        samples: Pcm = np.rint(wave).clip(-32768, 32767).astype(np.int16)
        return samples
