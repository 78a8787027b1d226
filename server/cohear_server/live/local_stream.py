"""A stream inside this process, in the shape of the client library's: send, finalize, stop, iterate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import numpy as np
from cohear_client import protocol
from cohear_client.errors import ServerError
from numpy.typing import NDArray

from .stream import Stream


class LocalStream:
    def __init__(self, stream: Stream, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        ready = stream.outbox.take(clock())
        assert isinstance(ready, protocol.Ready)
        self.ready = ready

    async def send(self, audio: bytes | NDArray[np.generic]) -> None:
        """Audio in the encoding of `Start`; waits while too much of it is not decoded yet.

        Raises ClientError(`bad_audio`)."""
        await self._stream.room()
        self._stream.receive(audio if isinstance(audio, bytes) else audio.tobytes(), self._clock())

    async def finalize(self, mark: str = "") -> None:
        self._stream.finalize(mark)

    async def stop(self) -> None:
        self._stream.stop()

    async def __aiter__(self) -> AsyncIterator[protocol.ServerMessage]:
        """Events up to and including `done`."""
        outbox = self._stream.outbox
        while await outbox.wait():
            message = outbox.take(self._clock())
            yield message
            if isinstance(message, protocol.Done):
                return
        if outbox.overflowed:
            raise ServerError("slow_reader", "events were not read in time", "read events while sending audio")
