"""A native stream inside this process, without a socket, with the interface of the client library.

async with Service.open(ServerConfig()) as service:
    async with open_stream(service, Start()) as stream:
        await stream.send(pcm)
        await stream.stop()
        async for event in stream: ...
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import numpy as np
from cohear_client import protocol
from cohear_client.errors import ServerError
from numpy.typing import NDArray

from ..core import commands
from ..live.service import Service
from ..live.stream import Stream
from .native import to_message, to_start


@contextlib.asynccontextmanager
async def open_stream(service: Service, start: protocol.Start) -> AsyncIterator[LocalStream]:
    """A stream for a caller in this process. Raises what `Service.admit` raises."""
    stream = service.admit(to_start(start))
    try:
        yield LocalStream(stream, service.clock)
    finally:
        service.dismiss(stream)


class LocalStream:
    def __init__(self, stream: Stream, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        ready = to_message(stream.outbox.take(clock()).event)
        assert isinstance(ready, protocol.Ready)
        self.ready = ready

    async def send(self, audio: bytes | NDArray[np.generic]) -> None:
        """Audio in the encoding of `Start`; waits while too much of it is not decoded yet.

        Raises ClientError(`bad_audio`)."""
        data = audio if isinstance(audio, bytes) else audio.tobytes()
        await self._stream.room()
        await self._stream.take(data, self._clock())

    async def finalize(self, mark: str = "") -> None:
        self._stream.handle(commands.Finalize(mark))

    async def stop(self) -> None:
        self._stream.stop()

    async def __aiter__(self) -> AsyncIterator[protocol.ServerMessage]:
        """Events up to and including `done`."""
        outbox = self._stream.outbox
        while await outbox.wait():
            outgoing = outbox.take(self._clock())
            message = to_message(outgoing.event, outgoing.stages)
            yield message
            if isinstance(message, protocol.Done):
                return
        if outbox.overflowed:
            raise ServerError("slow_reader", "events were not read in time", "read events while sending audio")
