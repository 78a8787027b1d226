"""The recent audio of one stream, addressed by absolute sample number.

It grows at the end and is cut at the front; it decides nothing about what is kept.
"""

from __future__ import annotations

import numpy as np

from .jobs import SAMPLE_RATE_HZ, Pcm


class AudioBuffer:
    """Samples [`start`, `end`) of a stream at 16 kHz, in one growing array (amortised copies)."""

    def __init__(self) -> None:
        self.start = 0
        self._data: Pcm = np.zeros(2 * SAMPLE_RATE_HZ, np.int16)
        self._size = 0

    @property
    def end(self) -> int:
        return self.start + self._size

    def restore(self, start: int, pcm: Pcm) -> None:
        """Set the first sample and the audio."""
        self.start, self._size = start, 0
        self.append(pcm)

    def append(self, pcm: Pcm) -> None:
        need = self._size + len(pcm)
        if need > len(self._data):
            grown = np.zeros(max(need, 2 * len(self._data)), np.int16)
            grown[: self._size] = self._data[: self._size]
            self._data = grown
        self._data[self._size : need] = pcm
        self._size = need

    def read(self, start: int, end: int) -> Pcm:
        """A copy of samples [start, end); both must lie inside the buffer."""
        if not self.start <= start <= end <= self.end:
            raise IndexError(f"[{start}, {end}) is outside the buffered [{self.start}, {self.end})")
        return self._data[start - self.start : end - self.start].copy()

    def drop_before(self, sample: int) -> None:
        """Forget what is older than `sample`. Memory moves only when half of the array is free to give."""
        gone = min(sample, self.end) - self.start
        if gone < len(self._data) // 2:
            return
        self._data[: self._size - gone] = self._data[gone : self._size].copy()
        self._size -= gone
        self.start += gone
