"""Audio that comes through a pipe, such as standard input: a WAV stream, a compressed file, or raw samples.

The header of a WAV is read as far as its samples; lengths in it are ignored, since programs that
write to a pipe cannot know them. A file of another kind is decoded as it comes, in a thread of its own, where PyAV is
installed. Everything else is taken as raw audio, as the caller describes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import stat
import struct
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import msgspec

from .errors import ClientError
from .pcm import frame_bytes
from .protocol import MAX_RATE_HZ, MIN_RATE_HZ, Encoding, Start
from .signatures import HEAD_BYTES, recognised

if TYPE_CHECKING:
    from .files import AudioFile

BLOCK_S = 0.02
_MAX_HEADER_BYTES = 1 << 16
_ENCODINGS: dict[tuple[int, int], Encoding] = {
    (1, 16): "pcm_s16le",
    (3, 32): "pcm_f32le",
    (6, 8): "alaw",
    (7, 8): "mulaw",
}
"""(format tag, bits per sample) of a WAV -> encoding on the wire"""


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


class PipeSound(Protocol):
    """Audio from a pipe: `start` describes what `blocks` yields, about `block_s` at a time or what there is."""

    start: Start

    def blocks(self, block_s: float = BLOCK_S) -> AsyncIterator[bytes]: ...


class PipeAudio:
    """Samples from a pipe, as they are."""

    def __init__(self, source: ByteSource, start: Start, head: bytes) -> None:
        self.start = start
        self._source = source
        self._head = head

    @classmethod
    async def open(cls, source: ByteSource, raw: Start) -> PipeSound:
        """Look at the first bytes; `raw` describes the audio if they begin no file.

        Raises ClientError (`empty_audio`, `bad_file`).
        """
        head = await _take(source, HEAD_BYTES)
        if not head:
            raise ClientError("empty_audio", "-: no audio came through the pipe", "check the program before the pipe")
        name = recognised(head)
        if name == "WAV" and head[:4] == b"RIFF":
            read = bytearray(head)
            start = await _read_header(source, raw, read)
            return cls(source, start, b"") if start is not None else await _decoded("WAV", source, bytes(read), raw)
        if name is not None:
            return await _decoded(name, source, head, raw)
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


class _DecodedPipe:
    """A file from a pipe, decoded as it comes."""

    def __init__(self, file: AudioFile, start: Start) -> None:
        self.start = start
        self._file = file

    async def blocks(self, block_s: float = BLOCK_S) -> AsyncIterator[bytes]:
        with self._file:
            blocks = self._file.blocks(block_s)
            while (block := await asyncio.to_thread(next, blocks, None)) is not None:
                yield block.tobytes()


class _Pulled(io.RawIOBase):
    """A ByteSource as a file that a thread reads from front to back."""

    def __init__(self, source: ByteSource, head: bytes) -> None:
        super().__init__()
        self._source = source
        self._head = head
        self._loop = asyncio.get_running_loop()

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any, /) -> int:
        data, self._head = self._head[: len(room)], self._head[len(room) :]
        data = data or asyncio.run_coroutine_threadsafe(self._pull(len(room)), self._loop).result()
        room[: len(data)] = data
        return len(data)

    async def _pull(self, size: int) -> bytes:
        return await self._source.read(size)


async def _decoded(name: str, source: ByteSource, head: bytes, raw: Start) -> PipeSound:
    from .files import AudioFile

    pipe = io.BufferedReader(_Pulled(source, head))
    try:
        file = await asyncio.to_thread(AudioFile, "-", pipe=pipe)
    except ClientError as fault:
        if fault.code != "bad_file":
            raise
        remedy = (
            "read it whole with `cohear transcribe -`, or decode it as it comes: "
            "ffmpeg -v 0 -i - -f s16le -ac 1 -ar 16000 - | cohear stream -"
        )
        raise ClientError("bad_file", f"-: this is {name}, which cannot be decoded as it comes here", remedy) from fault
    start = msgspec.structs.replace(raw, sample_rate=file.rate_hz, encoding="pcm_s16le", channels=file.channels)
    return _DecodedPipe(file, start)


async def _read_header(source: ByteSource, raw: Start, read: bytearray) -> Start | None:
    """What the header says, or None for samples that the wire does not know. `read` gets what was read."""
    start: Start | None = None
    seen = known = 0
    while seen < _MAX_HEADER_BYTES:
        head = await _take(source, 8)
        read += head
        if len(head) < 8:
            break
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            if not known:
                break
            return start
        seen += 8 + size
        if seen > _MAX_HEADER_BYTES:
            break
        chunk = await _take(source, size + size % 2)
        read += chunk
        if name == b"fmt ":
            start, known = _read_format(chunk, raw), 1
    raise ClientError("bad_file", "-: the WAV header is damaged", "send raw samples with --rate and --encoding")


def _read_format(chunk: bytes, raw: Start) -> Start | None:
    if len(chunk) < 16:
        raise ClientError("bad_file", "-: the WAV header is damaged", "send raw samples with --rate and --encoding")
    tag, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == 0xFFFE and len(chunk) >= 26:  # extensible: the real tag opens the sub-format
        (tag,) = struct.unpack("<H", chunk[24:26])
    encoding = _ENCODINGS.get((tag, bits))
    if encoding is None or not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        return None
    return msgspec.structs.replace(raw, sample_rate=rate_hz, encoding=encoding, channels=channels)


async def _take(source: ByteSource, count: int) -> bytes:
    """Exactly `count` bytes, fewer only at the end."""
    data = b""
    while len(data) < count and (more := await source.read(count - len(data))):
        data += more
    return data
