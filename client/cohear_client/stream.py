"""One live transcription stream: audio goes out, typed events come in.

`AudioStream` is the shape that every stream has, remote or in one process; `Stream` is the remote
one, over an open websocket. Opening sockets is `connection`'s part. A task reads the socket all the
time, so that sending never waits for a reader of events; what waits is bounded by `inbox`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from .errors import ClientError, CohearError, ServerError
from .inbox import Inbox
from .pcm import AudioLike, split, to_bytes
from .protocol import (
    ClientMessage,
    Configure,
    Done,
    Error,
    Finalize,
    Finalized,
    KeepAlive,
    Ready,
    ServerMessage,
    Start,
    Stop,
    Warning,
    decode_server,
    encode,
    error_exception,
)


class AudioStream(Protocol):
    """What a stream can do, whether its service is far away or in this process."""

    @property
    def ready(self) -> Ready:
        """The server's answer to `start`."""
        ...

    async def send(self, pcm: bytes, /) -> None:
        """Send audio in the encoding of `start`; waits while the other side is busy."""
        ...

    async def finalize(self, id: str, /) -> None:
        """Make everything sent so far final now."""
        ...

    async def stop(self) -> None:
        """No more audio: remaining finals follow, then `done`."""
        ...

    def __aiter__(self) -> AsyncIterator[ServerMessage]:
        """Events up to `done`, the last."""
        ...


class Stream:
    """A stream over an open websocket; made by `connect`.

    One task may send while another iterates. The iteration ends after `Done`. A fatal `error` of the
    server is raised from it after the finals that still came; other errors are events.
    """

    def __init__(self, socket: ClientConnection, start: Start, ready: Ready) -> None:
        self.start = start
        self.ready = ready
        self._socket = socket
        self._inbox = Inbox()
        self._fault: CohearError | None = None
        self._stopped = False
        self._unanswered: dict[str, asyncio.Event] = {}  # one entry a `finalize` on its way
        self._reader = asyncio.create_task(self._read(), name="cohear stream reader")

    async def send(self, pcm: AudioLike) -> None:
        """Send audio: bytes in the stream's encoding, or a numpy array of that type.

        Waits while the socket's buffer is full. Raises ClientError (`bad_audio`, `stopped`) or what
        ended the stream.
        """
        if self._stopped:
            raise ClientError("stopped", "audio after stop", "open a new stream")
        for piece in split(to_bytes(pcm, self.start), self.start, self.ready.limits.max_frame_bytes):
            await self._write(piece)

    async def finalize(self, id: str) -> None:
        """Make everything sent so far final now; `finalized(id)` waits until that has happened."""
        self._unanswered.setdefault(id, asyncio.Event())
        await self._say(Finalize(id))

    async def finalized(self, id: str) -> None:
        """Wait until the server has answered `finalize(id)`; every final of it can then be read.

        Raises what ended the stream, if that came first.
        """
        answer = self._unanswered.get(id)
        if answer is None:
            return
        await answer.wait()
        if id in self._unanswered:
            raise self._fault or ServerError("not_finalized", f"the stream ended before finalize {id!r} was answered")

    async def configure(self, changes: Configure) -> None:
        """Change options from here on."""
        await self._say(changes)

    async def keep_alive(self) -> None:
        """Tell the server that a silent client is still there."""
        await self._say(KeepAlive())

    async def stop(self) -> None:
        """No more audio: remaining finals follow, then `Done`. A second call does nothing."""
        if not self._stopped:
            self._stopped = True
            await self._say(Stop())

    def __aiter__(self) -> AsyncIterator[ServerMessage]:
        return self

    async def __anext__(self) -> ServerMessage:
        event = await self._inbox.get()
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Close the socket and wait for the reader; what was not read is gone."""
        await self._socket.close()
        await self._reader

    async def _say(self, message: ClientMessage) -> None:
        await self._write(encode(message))

    async def _write(self, frame: str | bytes) -> None:
        if self._fault is not None:
            raise self._fault
        try:
            await self._socket.send(frame)
        except ConnectionClosed as closed:
            await asyncio.wait([self._reader])  # it knows why
            raise self._fault or lost(closed) from closed

    async def _read(self) -> None:
        try:
            async for frame in self._socket:
                if self._take(frame):
                    return
            self._fail(ServerError("connection_lost", "the server closed the stream before it was done", _RECONNECT))
        except ConnectionClosed as closed:
            self._fail(lost(closed))
        except CohearError as fault:
            self._fail(fault)
        finally:
            self._inbox.close(self._fault)
            for answer in self._unanswered.values():
                answer.set()

    def _take(self, frame: str | bytes) -> bool:
        """Take in one frame; True when it was the last of the stream."""
        event = parse(frame)
        if isinstance(event, Error) and event.fatal:
            self._fail(error_exception(event))
            return False
        self._inbox.put(event)
        if isinstance(event, Finalized):
            answer = self._unanswered.pop(event.id, None)
            if answer is not None:
                answer.set()
        return isinstance(event, Done)

    def _fail(self, fault: CohearError) -> None:
        # the first fault is the cause, later ones follow from it
        self._fault = self._fault or fault


_RECONNECT = "see the server's log, then open a new stream"


def lost(closed: ConnectionClosed) -> ServerError:
    """The exception for a websocket that closed too early."""
    frame = closed.rcvd
    why = f" (code {frame.code}{', ' + frame.reason if frame.reason else ''})" if frame else ""
    return ServerError("connection_lost", f"the connection was lost before the stream was done{why}", _RECONNECT)


def parse(frame: str | bytes) -> ServerMessage:
    """The message in a frame. Raises ServerError (`bad_message`)."""
    if isinstance(frame, bytes):
        raise ServerError("bad_message", "the server sent a binary frame", "is this a Cohear server?")
    try:
        return decode_server(frame)
    except ClientError as fault:
        if fault.code == "unknown_type":  # a newer server may say more
            return Warning("unknown_message", fault.message)
        raise ServerError("bad_message", f"the server's message is wrong: {fault.message}", "update cohear") from fault
