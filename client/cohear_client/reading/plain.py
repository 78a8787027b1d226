"""Files that only libsndfile knows, and all files where PyAV is not installed.

libsndfile believes headers: of a joined or chained file it reads the first part, and it stops at the length that an MP3
guesses. So it comes second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

import soundfile as sf

from .sound import Damage, Wave

BLOCK_S = 0.5
_UNKNOWN_LENGTH = 1 << 60
"""libsndfile gives a number near 2**63 for files that do not say how long they are."""
_STREAMED_BYTES = 0x7FFF_0000
"""Lengths from here on are what programs write into a WAV whose length they could not know."""
_SLACK_S = 0.1
"""Lossy formats may end some frames before the length they declare."""


class PlainReading:
    """A `Reading` by libsndfile."""

    def __init__(self, file: BinaryIO) -> None:
        """`file` is closed with this. Raises what soundfile raises: LibsndfileError, RuntimeError, TypeError."""
        file.seek(0)
        self._bytes = file
        self._file = sf.SoundFile(file)
        self.rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.roles: tuple[str, ...] = ()
        self.damage: list[Damage] = []
        self.cut_s = 0.0
        self._frames = 0

    @property
    def duration_s(self) -> float | None:
        frames = self._declared_frames()
        return None if frames is None else frames / self.rate_hz

    @property
    def read_s(self) -> float:
        return self._frames / self.rate_hz

    def blocks(self) -> Iterator[Wave]:
        size = round(BLOCK_S * self.rate_hz)
        broken = False
        while not broken:
            try:
                block: Wave = self._file.read(size, dtype="float32", always_2d=True)
            except (sf.LibsndfileError, RuntimeError):
                broken = True
                break
            if not len(block):
                break
            self._frames += len(block)
            yield block
        missing_s = (self.duration_s or 0.0) - self.read_s
        self.cut_s = missing_s if broken or missing_s > _SLACK_S else 0.0

    def close(self) -> None:
        self._file.close()
        self._bytes.close()

    def _declared_frames(self) -> int | None:
        """Length by the header; None when that does not say."""
        frames: int = self._file.frames
        if frames >= _UNKNOWN_LENGTH:
            return None
        # libsndfile mends the length of a WAV that was cut off, and notes so in its log
        cut = re.search(r"^data : (\d+) \(should be (\d+)\)", self._file.extra_info, re.MULTILINE)
        if cut is None:
            return frames
        declared_bytes, present_bytes = int(cut[1]), int(cut[2])
        if declared_bytes >= _STREAMED_BYTES or present_bytes == 0:
            return frames
        return max(frames, frames * declared_bytes // present_bytes)
