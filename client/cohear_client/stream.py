"""One live transcription stream: audio goes out, typed events come in.

`AudioStream` is the shape that every stream has, remote or in one process; `Stream` is the remote
one, over a websocket. Opening sockets is `connection`'s part. A task reads the socket all the
time, so that sending never waits for a reader of events; what waits is bounded by `inbox`. When the
connection is lost, the same task opens another, resumes the session (or begins a new one where the
server no longer has it) and sends again what was not heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from .errors import ClientError, CohearError, OverloadError, ServerError
from .inbox import Inbox
from .pcm import AudioLike, split, to_bytes
from .protocol import (
    ClientMessage,
    Closing,
    Configure,
    Done,
    Error,
    Final,
    Finalize,
    Finalized,
    KeepAlive,
    Partial,
    Ready,
    Resume,
    ServerMessage,
    Start,
    Stop,
    Warning,
    decode_server,
    encode,
    error_exception,
)
from .replay import Replay, Shift

Reopen: TypeAlias = Callable[[Start], Awaitable[tuple[ClientConnection, Ready]]]
"""Opens another connection and says `start` on it."""

GIVE_UP_S = 30.0
"""How long a lost connection is tried again, unless the server holds sessions for longer."""

BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Waits between tries; the last one repeats."""


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

    def __init__(self, socket: ClientConnection, start: Start, ready: Ready, reopen: Reopen | None = None) -> None:
        """`reopen` is how to come back after a lost connection; without it, or if the server holds none, it is not."""
        self.start = start
        self.ready = ready
        self._socket = socket
        self._reopen = reopen
        self._inbox = Inbox()
        self._replay = Replay(start)
        self._shift = Shift()
        self._last_seq = self._last_segment = -1
        self._settled = 0  # samples before it are final for good, by the word of a server that went away
        self._moving = False
        self._online = asyncio.Event()
        self._online.set()
        self._fault: CohearError | None = None
        self._stopped = self._closing = False
        self._unanswered: dict[str, asyncio.Event] = {}  # one entry a `finalize` on its way
        self._reader = asyncio.create_task(self._run(), name="cohear stream reader")

    async def send(self, pcm: AudioLike) -> None:
        """Send audio: bytes in the stream's encoding, or a numpy array of that type.

        Waits while the socket's buffer is full or the connection is being mended.
        Raises ClientError (`bad_audio`, `stopped`) or what ended the stream.
        """
        if self._stopped:
            raise ClientError("stopped", "audio after stop", "open a new stream")
        for piece in split(to_bytes(pcm, self.start), self.start, self.ready.limits.max_frame_bytes):
            self._raise_fault()
            self._replay.append(piece)
            if self._online.is_set():
                # if this fails, the piece is replayed with the rest
                await self._attempt(piece)
            await self._until_online()

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
        self._closing = True
        await self._socket.close()
        if not self._online.is_set():
            self._reader.cancel()
        await asyncio.wait([self._reader])

    async def _say(self, message: ClientMessage) -> None:
        await self._write(encode(message))

    async def _write(self, frame: str) -> None:
        await self._until_online()
        while not await self._attempt(frame):
            await self._until_online()

    async def _attempt(self, frame: str | bytes) -> bool:
        """Send one frame; False if the connection is lost, which the reader then mends or gives up."""
        socket = self._socket
        try:
            await socket.send(frame)
        except ConnectionClosed:
            if socket is self._socket:
                self._online.clear()
            return False
        return True

    async def _until_online(self) -> None:
        """Raises what ended the stream."""
        await self._online.wait()
        self._raise_fault()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    async def _run(self) -> None:
        try:
            while not await self._read():
                await self._mend()
        except CohearError as fault:
            self._fail(fault)
        finally:
            self._online.set()  # whoever waits for a connection learns that there is none
            self._inbox.close(self._fault)
            for answer in self._unanswered.values():
                answer.set()

    async def _read(self) -> bool:
        """Take in events until `done` (True), or until the connection is lost and may be mended (False)."""
        try:
            async for frame in self._socket:
                if self._take(frame):
                    return True
            loss = ServerError("connection_lost", "the server closed the stream before it was done", _RECONNECT)
        except ConnectionClosed as closed:
            loss = lost(closed)
        self._online.clear()
        if self._closing or self._fault is not None or not self._mendable:
            raise self._fault or loss
        return False

    @property
    def _mendable(self) -> bool:
        return self._reopen is not None and self.ready.limits.resume_window_s > 0

    async def _mend(self) -> None:
        """Come back after a lost connection. Raises ServerError(`connection_lost`) when that takes too long."""
        self._inbox.put(Warning("connection_lost", "the connection was lost; trying again"))
        waits = iter(BACKOFF_S)
        wait_s = 0.0
        try:
            async with asyncio.timeout(max(GIVE_UP_S, self.ready.limits.resume_window_s)):
                while not await self._come_back():
                    wait_s = next(waits, wait_s or BACKOFF_S[-1])
                    await asyncio.sleep(wait_s)
        except TimeoutError:
            raise ServerError(
                "connection_lost", "the connection was lost and could not be mended", _RECONNECT
            ) from None
        self._inbox.put(Warning("reconnected", "the connection is back; nothing sent since the last final is lost"))

    async def _come_back(self) -> bool:
        """One try. False: worth another one. Raises ClientError for what no try will change."""
        assert self._reopen is not None
        claim = Resume(self.ready.session_id, self.ready.token, max(0, self._last_seq - self._shift.seq))
        try:
            socket, ready = await self._reopen(msgspec.structs.replace(self.start, resume=claim))
        except ClientError as refusal:
            if refusal.code != "unknown_session":
                raise
            return await self._begin_again()
        except OverloadError as full:
            await asyncio.sleep(full.retry_after_s)
            return False
        except ServerError:
            return False
        begun = round(self._shift.seconds * self.start.sample_rate)
        return await self._catch_up(socket, ready, begun + ready.next_sample)

    async def _begin_again(self) -> bool:
        """The server no longer has the session: a new one, from the end of the last final on."""
        assert self._reopen is not None
        try:
            socket, ready = await self._reopen(self.start)
        except (OverloadError, ServerError):
            return False
        begun = max(self._replay.start, self._settled)
        self._shift = Shift(begun / self.start.sample_rate, self._last_seq + 1, self._last_segment + 1)
        return await self._catch_up(socket, ready, begun)

    async def _catch_up(self, socket: ClientConnection, ready: Ready, sample: int) -> bool:
        """Send again what the server has not heard, and all that was asked of it and not answered."""
        missing = self._replay.start - sample
        if missing > 0:
            message = f"{missing / self.start.sample_rate:.1f} s of audio were lost with the connection"
            self._inbox.put(Warning("audio_lost", message))
        self.ready, self._socket = ready, socket
        try:
            while sample < self._replay.end:
                audio = self._replay.since(sample)
                sample = self._replay.end
                for piece in split(audio, self.start, ready.limits.max_frame_bytes):
                    await socket.send(piece)
            for mark in self._unanswered:
                await socket.send(encode(Finalize(mark)))
            if self._stopped:
                await socket.send(encode(Stop()))
        except ConnectionClosed:
            return False
        self._online.set()
        return True

    def _take(self, frame: str | bytes) -> bool:
        """Take in one frame; True when it was the last of the stream."""
        event = self._shift.of(parse(frame))
        if isinstance(event, Error) and event.fatal:
            self._fail(error_exception(event))
            return False
        if isinstance(event, Partial | Final):
            if event.seq <= self._last_seq:
                return False  # sent again by a server that could not know that it had come
            self._last_seq = event.seq
            self._last_segment = max(self._last_segment, event.segment_id)
        if isinstance(event, Final):
            self._replay.forget_before(round(event.end_s * self.start.sample_rate))
        if isinstance(event, Closing):
            self._moving = True
        if isinstance(event, Done) and self._moved_on(event):
            return False
        self._inbox.put(event)
        if isinstance(event, Finalized):
            answer = self._unanswered.pop(event.id, None)
            if answer is not None:
                answer.set()
        return isinstance(event, Done)

    def _moved_on(self, done: Done) -> bool:
        """Whether the server went away in order before it had all: what it took in is final, the rest is said again."""
        heard = round(self._shift.seconds * self.start.sample_rate) + done.samples.received
        moving, self._moving = self._moving, False
        if not moving or self._fault is not None or not self._mendable or (self._stopped and heard >= self._replay.end):
            return False
        self._settled = heard
        return True

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
