"""Audio that comes through a pipe, such as standard input: a WAV stream, or raw samples.

The header of a WAV is read as far as its samples; lengths in it are ignored, since programs that
write to a pipe cannot know them. Everything else is taken as raw audio, as the caller describes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import struct
import sys
from collections.abc import AsyncIterator
from typing import BinaryIO, Protocol

import msgspec

from .errors import ClientError
from .pcm import frame_bytes
from .protocol import Encoding, Start

BLOCK_S = 0.02
_MAX_HEADER_BYTES = 1 << 16
_ENCODINGS: dict[tuple[int, int], Encoding] = {
    (1, 16): "pcm_s16le",
    (3, 32): "pcm_f32le",
    (6, 8): "alaw",
    (7, 8): "mulaw",
}
"""(format tag, bits per sample) of a WAV -> encoding on the wire"""
SIGNATURES = {
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"\xff\xfb\x90": "MP3",
    b"\x1a\x45\xdf\xa3": "WebM",
    b"FORM": "AIFF",
    b"caff": "CAF",
    b"#!AMR": "AMR",
}
"""first bytes of files that a pipe may bring; three and more, since two are within what raw samples begin with"""


class ByteSource(Protocol):
    """What gives bytes as they come: an `asyncio.StreamReader`, or a file by `FileBytes`."""

    async def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes; empty at the end."""
        ...


class FileBytes:
    """A plain file as a ByteSource. Reads block for as long as the disk takes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def read(self, n: int = -1, /) -> bytes:
        await asyncio.sleep(0)
        return self._file.read(n)


class PipeAudio:
    """Audio from a pipe: `start` describes what `blocks` yields."""

    def __init__(self, source: ByteSource, start: Start, head: bytes) -> None:
        self.start = start
        self._source = source
        self._head = head

    @classmethod
    async def open(cls, source: ByteSource, raw: Start) -> PipeAudio:
        """Look at the first bytes; `raw` describes the audio if they are no WAV header.

        Raises ClientError (`empty_audio`, `bad_file`).
        """
        head = await _take(source, 12)
        if not head:
            raise ClientError("empty_audio", "-: no audio came through the pipe", "check the program before the pipe")
        if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
            return cls(source, await _read_header(source, raw), b"")
        if (name := _container(head)) is not None:
            raise ClientError(
                "bad_file",
                f"-: this is {name}, not raw samples",
                "read it whole with `cohear transcribe -`, or decode it as it comes: "
                "ffmpeg -v 0 -i - -f s16le -ac 1 -ar 16000 - | cohear stream -",
            )
        return cls(source, raw, head)

    async def blocks(self, block_s: float = BLOCK_S) -> AsyncIterator[bytes]:
        """Whole frames, about `block_s` at a time or what there is; a part of a frame at the end is dropped."""
        unit = frame_bytes(self.start)
        size = max(round(block_s * self.start.sample_rate), 1) * unit
        data = self._head
        while more := await self._source.read(size - len(data) % size):
            data += more
            whole = len(data) // unit * unit
            if whole:
                yield data[:whole]
            data = data[whole:]
        if whole := len(data) // unit * unit:
            yield data[:whole]


@contextlib.asynccontextmanager
async def stdin_bytes() -> AsyncIterator[ByteSource]:
    """Standard input as a ByteSource that never blocks the event loop on a pipe or terminal."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    if not _comes_by_and_by(sys.stdin.buffer):
        yield FileBytes(sys.stdin.buffer)
        return
    try:
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    except NotImplementedError:  # a system without such pipes
        yield FileBytes(sys.stdin.buffer)
        return
    try:
        yield reader
    finally:
        transport.close()


def _comes_by_and_by(file: BinaryIO) -> bool:
    """Whether one may have to wait for its bytes; a plain file and /dev/null always have an answer."""
    mode = os.fstat(file.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or file.isatty()


def _container(head: bytes) -> str | None:
    """What a compressed file begins with, by its signature; None for what may be raw samples."""
    if head[4:8] == b"ftyp":
        return "MP4"
    return next((name for start, name in SIGNATURES.items() if head.startswith(start)), None)


async def _read_header(source: ByteSource, raw: Start) -> Start:
    start: Start | None = None
    seen = 0
    while seen < _MAX_HEADER_BYTES:
        head = await _take(source, 8)
        if len(head) < 8:
            break
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            if start is None:
                break
            return start
        seen += 8 + size
        if seen > _MAX_HEADER_BYTES:
            break
        chunk = await _take(source, size + size % 2)
        if name == b"fmt ":
            start = _read_format(chunk, raw)
    raise ClientError("bad_file", "-: the WAV header is damaged", "send raw samples with --rate and --encoding")


def _read_format(chunk: bytes, raw: Start) -> Start:
    if len(chunk) < 16:
        raise ClientError("bad_file", "-: the WAV header is damaged", "send raw samples with --rate and --encoding")
    tag, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == 0xFFFE and len(chunk) >= 26:  # extensible: the real tag opens the sub-format
        (tag,) = struct.unpack("<H", chunk[24:26])
    encoding = _ENCODINGS.get((tag, bits))
    if encoding is None:
        raise ClientError(
            "bad_file", f"-: WAV format {tag} with {bits} bits cannot be streamed", "convert it to 16-bit PCM"
        )
    return msgspec.structs.replace(raw, sample_rate=rate_hz, encoding=encoding, channels=channels)


async def _take(source: ByteSource, count: int) -> bytes:
    """Exactly `count` bytes, fewer only at the end."""
    data = b""
    while len(data) < count and (more := await source.read(count - len(data))):
        data += more
    return data
