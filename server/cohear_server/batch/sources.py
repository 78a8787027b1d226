"""Any audio or video file as blocks of 16 kHz samples, never the whole file in memory.

The client library reads the files (`cohear_client.reading`). So a file that is sent to a server, and one that is
transcribed here, are read in the same way. A bad file gives one ClientError, which begins with the file's name and ends
with a remedy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cohear_client.files import ALL, AudioFile, Choice

from ..core.jobs import SAMPLE_RATE_HZ, Pcm
from ..core.resampler import Resampler
from ..errors import ClientError

BLOCK_S = 4.0
HASH_BYTES = 1 << 20


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises ClientError(`no_file`)."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(HASH_BYTES):
                digest.update(block)
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise ClientError("no_file", f"{path}: cannot be read ({reason})", "check its name and permissions") from fault
    return digest.hexdigest()


class Source:
    """An open file. `duration_s` is what its header says or guesses, None where that does not."""

    def __init__(self, path: Path, choice: Choice = ALL, file: BinaryIO | None = None) -> None:
        """`file` is one that is open already. Raises ClientError, as `AudioFile` does."""
        self._file = AudioFile(path, choice=choice, file=file)
        self.duration_s = self._file.duration_s

    def blocks(self) -> Iterator[Pcm]:
        """int16 mono 16 kHz. Raises what `AudioFile.blocks` raises, after what could be read."""
        if self._file.rate_hz == SAMPLE_RATE_HZ:
            yield from self._file.blocks(BLOCK_S)
            return
        resampler = Resampler(self._file.rate_hz)
        try:
            for block in self._file.blocks(BLOCK_S):
                yield resampler.push(block)
        except ClientError:
            # where the file breaks off, too, what the resampler still holds was read
            yield resampler.end()
            raise
        yield resampler.end()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
