"""A scripted server of protocol version 1: it hears nothing, but says what a real one would.

Each `SEGMENT_S` of audio becomes a segment with one partial and one final; a script says what goes
wrong instead.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
from cohear_client.pcm import frame_bytes
from cohear_client.protocol import (
    SUBPROTOCOL,
    Done,
    Error,
    Final,
    Finalize,
    Finalized,
    KeepAlive,
    Limits,
    Partial,
    Ready,
    Reason,
    SampleCount,
    ServerMessage,
    SpeechStarted,
    Start,
    Stats,
    Stop,
    Timing,
    Word,
    decode_client,
    encode,
)
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SEGMENT_S = 0.5
TIMING = Timing(receive_ms=1, queue_ms=2, decode_ms=30, emit_ms=0.5, batch_size=4, window_s=SEGMENT_S)


@dataclass(slots=True)
class Script:
    """How the server behaves."""

    refuse: Error | None = None
    """answer `start` with this"""
    refusals: int = 1_000
    """how often, before streams are taken"""
    drop_after_segments: int | None = None
    """cut the connection, without a close, after so many finals"""
    fatal_after_segments: int | None = None
    """a fatal error after so many finals; one more final and `done` still follow"""
    before_done: list[str] = field(default_factory=list)
    """raw frames to send before `done`"""
    partials_each: int = 1
    limits: Limits = field(default_factory=Limits)
    hold: asyncio.Event | None = None
    """nothing is said after `ready` until this is set"""


@dataclass(slots=True)
class Seen:
    """What clients did."""

    starts: list[Start] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    """headers; empty where none came"""
    audio: bytearray = field(default_factory=bytearray)
    frame_sizes: list[int] = field(default_factory=list)
    most_at_once: int = 0


class FakeServer:
    """Listens while `running`; `url` is without the protocol's path."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.seen = Seen()
        self.url = ""
        self._now = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FakeServer]:
        async with serve(self._serve, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
            self.url = f"ws://127.0.0.1:{_port(server)}"
            yield self

    async def _serve(self, socket: ServerConnection) -> None:
        self._now += 1
        self.seen.most_at_once = max(self.seen.most_at_once, self._now)
        try:
            await self._stream(socket)
        except ConnectionClosed:
            pass  # clients may leave at any time
        finally:
            self._now -= 1

    async def _stream(self, socket: ServerConnection) -> None:
        start = decode_client(str(await socket.recv()))
        assert isinstance(start, Start)
        self.seen.starts.append(start)
        assert socket.request is not None
        self.seen.authorizations.append(socket.request.headers.get("Authorization", ""))
        if self.script.refuse is not None and len(self.seen.starts) <= self.script.refusals:
            await socket.send(encode(self.script.refuse))
            return
        await socket.send(encode(Ready("session", "token", "fake", self.script.limits)))
        if self.script.hold is not None:
            await self.script.hold.wait()
        await _Talk(socket, start, self.script, self.seen).run()


class _Talk:
    def __init__(self, socket: ServerConnection, start: Start, script: Script, seen: Seen) -> None:
        self._socket = socket
        self._start = start
        self._script = script
        self._seen = seen
        self._received = 0
        self._said = 0
        self._seq = 0

    async def run(self) -> None:
        async for frame in self._socket:
            if isinstance(frame, bytes):
                await self._hear(frame)
            elif await self._obey(frame):
                return

    async def _hear(self, frame: bytes) -> None:
        self._seen.audio += frame
        self._seen.frame_sizes.append(len(frame))
        self._received += len(frame) // frame_bytes(self._start)
        while self._received >= (self._said + 1) * SEGMENT_S * self._start.sample_rate:
            await self._segment("endpoint")

    async def _obey(self, text: str) -> bool:
        match decode_client(text):
            case Finalize(id=mark):
                await self._segment("finalize")
                await self._say(Finalized(mark))
            case KeepAlive():
                await self._say(Stats(0.0, 0.0, 0.0, 0, SampleCount()))
            case Stop():
                await self._finish()
                return True
        return False

    async def _segment(self, reason: Reason) -> None:
        number, start_s = self._said, self._said * SEGMENT_S
        self._said += 1
        await self._say(SpeechStarted(start_s))
        for revision in range(self._script.partials_each if self._start.partials else 0):
            await self._say(Partial(self._next(), number, revision, "hello", f"wor{revision}", 0.5, start_s, TIMING))
        await self._final(number, start_s, reason)
        if self._script.drop_after_segments == self._said:
            self._socket.transport.abort()
        if self._script.fatal_after_segments == self._said:
            await self._say(Error("internal", "the engine broke", "see the log"))
            await self._final(number + 1, start_s + SEGMENT_S, "endpoint")
            await self._finish()
            await self._socket.close()

    async def _final(self, number: int, start_s: float, reason: Reason) -> None:
        middle_s, end_s = start_s + SEGMENT_S / 2, start_s + SEGMENT_S
        words = (Word("hello", start_s, middle_s, 0.95), Word(f"world{number}", middle_s, end_s, 0.4))
        final = Final(
            self._next(), number, f"hello world{number}", 0.9, "en", start_s, end_s, "endpoint", "fake", TIMING
        )
        await self._say(msgspec.structs.replace(final, reason=reason, words=words if self._start.words else ()))

    async def _finish(self) -> None:
        count = SampleCount(self._received, self._received, 0, 0)
        await self._say(Stats(1.5, 0.0, 0.0, 0, count))
        for text in self._script.before_done:
            await self._socket.send(text)
        await self._say(Done(count, self._said))

    async def _say(self, message: ServerMessage) -> None:
        await self._socket.send(encode(message))

    def _next(self) -> int:
        self._seq += 1
        return self._seq


def _port(server: Server) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port
