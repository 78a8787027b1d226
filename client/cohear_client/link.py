"""One connection of a stream: sends what the replay gives, and passes on what the server sends, until one side ends.

It counts as alive while bytes of any kind arrive: a busy server may not answer a ping for a while, but still sends
statistics. What a message means, and what follows a loss, is in `stream`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from .errors import ServerError
from .protocol import KeepAlive, Limits, encode
from .replay import Replay

PING_S = 20.0
"""Time between two pings."""

DEAD_S = 60.0
"""A connection without a received byte for so long is lost: two pings and the statistics were due in that time."""

KEEPALIVES = 3
"""How many keepalives a silent client sends within the server's idle timeout."""

RECONNECT = "see the server's log, then open a new stream"


class Socket(ClientConnection):
    """A websocket that knows when its last byte arrived."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.heard_s = time.monotonic()

    def data_received(self, data: bytes) -> None:
        self.heard_s = time.monotonic()
        super().data_received(data)


class Link:
    """A connection after `start` and `ready`, with the limits of `ready`."""

    def __init__(self, socket: Socket, limits: Limits, replay: Replay) -> None:
        self._socket = socket
        self._limits = limits
        self._replay = replay
        self._more = asyncio.Event()

    def wake(self) -> None:
        """There is more to send."""
        self._more.set()

    async def run(self, take: Callable[[str | bytes], bool]) -> ServerError | None:
        """Send and receive until `take`, which gets each frame, returns True for the last one. Returns the loss of the
        connection, if that comes first.

        Raises what `take` raises.
        """
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(part(), name="cohear link") for part in (self._write, self._watch)]
                loss = await self._read(take)
                for helper in helpers:
                    helper.cancel()
        except BaseExceptionGroup as faults:  # of one: it ended the others
            raise faults.exceptions[0] from None
        return loss

    async def say(self, message: KeepAlive) -> None:
        """Send a message that matters only now. The reader reports a lost connection."""
        try:
            await self._socket.send(encode(message))
        except ConnectionClosed:
            return

    async def _read(self, take: Callable[[str | bytes], bool]) -> ServerError | None:
        try:
            async for frame in self._socket:
                if take(frame):
                    return None
        except ConnectionClosed as closed:
            return lost(closed)
        return ServerError("connection_lost", "the server closed the stream before it was done", RECONNECT)

    async def _write(self) -> None:
        idle_s = self._limits.idle_timeout_s
        silence_s = idle_s / KEEPALIVES if idle_s > 0 else None
        try:
            while True:
                said = self._replay.take(self._limits.max_frame_bytes)
                if said is not None:
                    await self._socket.send(said if isinstance(said, bytes) else encode(said))
                elif not await self._woken(silence_s):
                    await self._socket.send(encode(KeepAlive()))
        except ConnectionClosed:
            return

    async def _woken(self, within_s: float | None) -> bool:
        self._more.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._more.wait()
        except TimeoutError:
            return False
        return True

    async def _watch(self) -> None:
        left_s = DEAD_S
        while left_s > 0:
            await asyncio.sleep(left_s)
            left_s = DEAD_S - (time.monotonic() - self._socket.heard_s)
        self._socket.transport.abort()


def lost(closed: ConnectionClosed) -> ServerError:
    """The exception for a websocket that closed too early."""
    frame = closed.rcvd
    why = f" (code {frame.code}{', ' + frame.reason if frame.reason else ''})" if frame else ""
    return ServerError("connection_lost", f"the connection was lost before the stream was done{why}", RECONNECT)
