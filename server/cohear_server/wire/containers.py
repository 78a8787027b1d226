"""A channel on which audio comes in a container, as WebM, Ogg, FLAC or WAV: it hands on the samples, at 16 kHz.

Each stream has a thread for its decoder, and the two take turns: no further message is read before the decoder asks for
more, and the decoder goes no further before its samples are taken. So memory is bounded whatever a container unfolds
to, and all audio before a text message is handed on before that message.
"""

from __future__ import annotations

import asyncio
import io
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import numpy as np
from cohear_client.reading.flowing import flowing
from cohear_client.signatures import HEAD_BYTES, recognised

from ..core.jobs import SAMPLE_RATE_HZ, Pcm
from ..core.resampler import Resampler
from ..errors import CohearError, ServerError
from .channel import Channel
from .wire import Said

logger = logging.getLogger(__name__)

NAME = "the stream"

END = b""


class ContainerChannel:
    """Around the channel of a connection; `stop` must be called at the end."""

    def __init__(self, inner: Channel, ends: Callable[[Said], bool]) -> None:
        """`ends`: whether a message says that no more audio comes."""
        self._inner = inner
        self._ends = ends
        self._decoder = Decoder()
        self._given: bytes | None = None
        """what the decoder is to be given"""
        self._working = False
        """it has not asked for more since"""
        self._behind: Said | None = None
        """a message behind the audio that is still being decoded"""
        self._broken = False

    async def open(self) -> None:
        await self._inner.open()

    async def refuse(self, fault: CohearError) -> bool:
        return await self._inner.refuse(fault)

    async def send(self, said: Said) -> None:
        await self._inner.send(said)

    async def close(self, code: int) -> None:
        await self._inner.close(code)

    def stop(self) -> None:
        """The decoder's thread ends."""
        self._decoder.stop()

    async def receive(self) -> Said:
        """Samples, or the client's next message that is none. Raises ClientError(`bad_audio`) once where audio cannot
        be decoded; audio that comes later is not heard."""
        while True:
            if self._working and (samples := await self._samples()) is not None:
                return samples
            if self._behind is not None:
                said, self._behind = self._behind, None
                return said
            self._take(await self._inner.receive())

    def _take(self, said: Said) -> None:
        if self._ends(said):
            self._behind = said
            self._give(END)
        elif isinstance(said, bytes):
            self._give(said)
        else:
            self._behind = said

    def _give(self, data: bytes) -> None:
        if self._broken:
            return
        if self._decoder.ended and recognised(data[:HEAD_BYTES]):  # one file behind the other
            self._decoder = Decoder()
        self._given, self._working = data, not self._decoder.ended and (bool(data) or self._decoder.begun)

    async def _samples(self) -> bytes | None:
        given, self._given = self._given, None
        try:
            samples = await self._decoder.step(given)
        except CohearError:
            self._broken, self._working = True, False
            raise
        self._working = samples is not None
        return samples


class Decoder(io.RawIOBase):
    """One container, decoded in a thread that reads it from here."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = False
        self.ended = False
        self._turns: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._made: asyncio.Queue[bytes | CohearError | None] = asyncio.Queue()
        """one at most: the thread waits for its turn"""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._data = b""
        self._complete = False
        self._stopped = False

    async def step(self, data: bytes | None) -> bytes | None:
        """The next samples; None when it asks for more. `data` is that, or END; None where it did not ask. Raises
        ClientError(`bad_audio`), and ServerError where the decoder failed."""
        if not self.begun:
            self.begun, self._loop = True, asyncio.get_running_loop()
            self._data = data or b""
            threading.Thread(target=self._run, name="container", daemon=True).start()
        else:
            self._turns.put(data)
        made = await self._made.get()
        if isinstance(made, CohearError):
            raise made
        return made

    def stop(self) -> None:
        self._stopped = True
        self._turns.put(END)

    # --- in the thread ----------------------------------------------------------------------------

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """What is there; waits for the first byte of it. Empty at the end."""
        while not self._data and not self._complete and not self._stopped:
            self._hand_on(None)
            data = self._turns.get()
            self._complete = not data
            self._data = data or b""
        size = len(self._data) if size < 0 else size
        data, self._data = self._data[:size], self._data[size:]
        return data

    def _run(self) -> None:
        try:
            for pcm in _samples(cast(BinaryIO, self)):
                if not len(pcm):
                    continue
                self._hand_on(pcm.astype("<i2").tobytes())
                if not self._stopped:
                    self._turns.get()
                if self._stopped:
                    return
        except CohearError as fault:
            self._finish(fault)
        except Exception:  # the boundary of this decoder: its stream alone ends
            logger.exception("a decoder failed")
            self._finish(ServerError("internal", "the decoder failed on this stream", "send another format"))
        else:
            self._finish(None)

    def _finish(self, outcome: CohearError | None) -> None:
        self.ended = True
        self._hand_on(outcome)

    def _hand_on(self, made: bytes | CohearError | None) -> None:
        if self._stopped or self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._made.put_nowait, made)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._stopped = True


def _samples(pipe: BinaryIO) -> Iterator[Pcm]:
    """At 16 kHz."""
    resampler: Resampler | None = None
    rate_hz = SAMPLE_RATE_HZ
    for piece in flowing(pipe, NAME):
        if piece.rate_hz != rate_hz:
            if resampler is not None:
                yield resampler.end()
            rate_hz = piece.rate_hz
            resampler = None if rate_hz == SAMPLE_RATE_HZ else Resampler(rate_hz)
        pcm = np.rint(piece.wave * np.float32(32_768.0)).clip(-32_768, 32_767).astype(np.int16)
        yield pcm if resampler is None else resampler.push(pcm)
    if resampler is not None:
        yield resampler.end()
