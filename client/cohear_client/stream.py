"""One live transcription stream: audio goes out, typed events come in.

`AudioStream` is the shape that every stream has, remote or in one process; `Stream` is the remote one, over a
websocket. What is said waits in `replay` until the server has settled it, at most a minute of audio: never is more on
its way than can be said again. A task keeps a `link` to the server. When the connection is lost, the same task opens
another, resumes the session (or begins a new one where the server no longer has it), and what was not heard is sent
again. What comes waits, bounded, in `inbox`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Protocol, TypeAlias

from msgspec.structs import replace

from .errors import ClientError, CohearError, OverloadError, ServerError
from .inbox import Inbox
from .link import RECONNECT, Link, Socket
from .pcm import AudioLike, frame_bytes, split, to_bytes
from .protocol import (
    Configure,
    Done,
    Error,
    Finalize,
    Finalized,
    KeepAlive,
    Ready,
    Resume,
    ServerMessage,
    Start,
    Stop,
    Warning,
    decode_server,
    error_exception,
)
from .replay import PIECE_S, Replay, Request
from .timeline import Timeline

Reopen: TypeAlias = Callable[[Start], Awaitable[tuple[Socket, Ready]]]
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
    server is raised from it after the finals that still came; other errors are events. Once the stream is
    over, whatever is asked of it raises at once.
    """

    def __init__(self, socket: Socket, start: Start, ready: Ready, reopen: Reopen | None = None) -> None:
        """`reopen` is how to come back after a lost connection; without it, or if the server holds none, it is not."""
        self.start = start
        self.ready = ready
        self._socket = socket
        self._reopen = reopen
        self._replay = Replay(start)
        self._timeline = Timeline(start.sample_rate)
        self._inbox = Inbox()
        self._link = Link(socket, ready.limits, self._replay)
        self._changed = asyncio.Event()
        self._gone = False  # the server does not have the session any more
        self._closing = self._over = False
        self._fault: CohearError | None = None
        self._keeper = asyncio.create_task(self._run(), name="cohear stream")

    async def send(self, pcm: AudioLike) -> None:
        """Send audio: bytes in the stream's encoding, or a numpy array of that type.

        Waits while a minute of audio (`replay.KEEP_S`) is not settled by the server, also during an outage.
        Raises ClientError (`bad_audio`, `stopped`, `ended`) or what ended the stream.
        """
        most = int(PIECE_S * self.start.sample_rate) * frame_bytes(self.start)
        for piece in split(to_bytes(pcm, self.start), self.start, most):
            await self._until(partial(self._replay.fits, piece))
            self._check_open()
            self._replay.append(piece)
            self._link.wake()
        self._check_open()
        await asyncio.sleep(0)  # the link and the reader of events get their turn

    async def finalize(self, id: str) -> None:
        """Make everything sent so far final now; `finalized(id)` waits until that has happened."""
        self._ask(Finalize(id))

    async def finalized(self, id: str) -> None:
        """Wait until the server has answered `finalize(id)`; every final of it can then be read.

        Raises what ended the stream, if that came first.
        """
        await self._until(lambda: not self._replay.awaits(id))

    async def configure(self, changes: Configure) -> None:
        """Change options from here on."""
        self._ask(changes)

    async def keep_alive(self) -> None:
        """Tell the server that a silent client is still there; the stream does so by itself, too."""
        self._check()
        await self._link.say(KeepAlive())

    async def stop(self) -> None:
        """No more audio: remaining finals follow, then `Done`. A second call does nothing."""
        if not self._replay.stopped:
            self._ask(Stop())

    def __aiter__(self) -> AsyncIterator[ServerMessage]:
        return self

    async def __anext__(self) -> ServerMessage:
        event = await self._inbox.get()
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Close the socket; what was not sent or not read is gone."""
        self._closing = True
        await self._socket.close()
        self._keeper.cancel()
        await asyncio.wait([self._keeper])
        if not self._keeper.cancelled():
            self._keeper.result()  # a fault of this library must not be missed

    def _ask(self, request: Request) -> None:
        self._check_open()
        self._replay.ask(request)
        self._link.wake()

    def _check_open(self) -> None:
        self._check()
        if self._replay.stopped:
            raise ClientError("stopped", "nothing can be said after stop", "open a new stream")

    def _check(self) -> None:
        """Raises what ended the stream, if it is over or failing."""
        if self._fault is not None:
            raise self._fault
        if self._over:
            raise ClientError("ended", "the stream is over", "open a new stream")

    async def _until(self, holds: Callable[[], bool]) -> None:
        """Raises what ended the stream, if that comes first."""
        while not holds():
            self._check()
            self._changed.clear()
            await self._changed.wait()

    async def _run(self) -> None:
        try:
            while (loss := await self._link.run(self._take)) is not None:
                if self._closing or self._fault is not None or not self._mendable:
                    raise self._fault or loss
                await self._mend()
            self._over = True
        except CohearError as fault:
            self._fail(fault)
        finally:
            if not self._over:
                self._fail(ServerError("closed", "the stream was closed before it was done", RECONNECT))
            self._inbox.close(self._fault)
            self._changed.set()  # whoever waits learns that there is nothing to wait for

    @property
    def _mendable(self) -> bool:
        return self._reopen is not None and self.ready.limits.resume_window_s > 0

    async def _mend(self) -> None:
        """Come back after a lost connection. Raises ServerError(`connection_lost`) when that takes too long."""
        self._inbox.put(Warning("connection_lost", "the connection was lost; trying again"))
        waits = iter(BACKOFF_S)
        wait_s = next(waits) if self._gone else 0.0
        await asyncio.sleep(wait_s)
        try:
            async with asyncio.timeout(max(GIVE_UP_S, self.ready.limits.resume_window_s)):
                while not await self._come_back():
                    wait_s = next(waits, wait_s or BACKOFF_S[-1])
                    await asyncio.sleep(wait_s)
        except TimeoutError:
            text = "the connection was lost and could not be mended"
            raise ServerError("connection_lost", text, RECONNECT) from None
        self._inbox.put(
            Warning("reconnected", "the connection is back, and what the server had not heard is sent again")
        )

    async def _come_back(self) -> bool:
        """One try. False: worth another one. Raises ClientError for what no try will change."""
        try:
            if self._gone or not await self._resume():
                await self._begin_again()
            return True
        except OverloadError as full:
            await asyncio.sleep(full.retry_after_s)
        except ServerError:
            pass  # told when there is no more time to try
        return False

    async def _resume(self) -> bool:
        """Go on with the session. False if the server does not have it, or not as much of it as it settled."""
        assert self._reopen is not None
        line = self._timeline
        claim = Resume(self.ready.session_id, self.ready.token, line.session_seq, line.lasting)
        try:
            socket, ready = await self._reopen(replace(self._replay.options, resume=claim))
        except ClientError as refusal:
            if refusal.code != "unknown_session":
                raise
            self._gone = True
            return False
        heard = line.begun + ready.next_sample
        if not self._replay.start <= heard <= self._replay.end:
            await socket.close()
            return False
        self._replay.resume(heard)
        self._attach(socket, ready)
        return True

    async def _begin_again(self) -> None:
        """Begin a new session with what is not settled."""
        assert self._reopen is not None
        socket, ready = await self._reopen(self._replay.options)
        self._replay.renew()
        self._timeline.begin_again()
        self._attach(socket, ready)

    def _attach(self, socket: Socket, ready: Ready) -> None:
        self.ready, self._socket = ready, socket
        self._gone = False
        self._link = Link(socket, ready.limits, self._replay)

    def _take(self, frame: str | bytes) -> bool:
        """Take in one frame; True when it was the last of the stream."""
        said = parse(frame)
        if isinstance(said, Error) and said.fatal:
            self._fail(error_exception(said))
            return False
        event = self._timeline.take(said)
        self._replay.settle(self._timeline.settled)
        if event is None or (isinstance(event, Finalized) and not self._replay.answered(event.id)):
            return False  # it came before
        if isinstance(event, Done) and self._handed_over():
            return False
        self._inbox.put(event)
        self._changed.set()
        return isinstance(event, Done)

    def _handed_over(self) -> bool:
        """Whether the server was done before it had all, as one that shuts down: a new session hears the rest."""
        complete = self._replay.stopped and self._replay.start == self._replay.end
        self._gone = not complete and self._fault is None and self._mendable
        return self._gone

    def _fail(self, fault: CohearError) -> None:
        # the first fault is the cause, later ones follow from it
        self._fault = self._fault or fault
        self._changed.set()


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
