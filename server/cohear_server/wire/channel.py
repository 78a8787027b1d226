"""A websocket as the connection needs it: send, receive, close, and an error when it is gone. It knows no protocol."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Protocol

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..errors import CohearError
from ..live.caller import ANYONE, SCOPE, Caller, network_of
from .wire import CLOSE_NORMAL, Said

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 2.0


class Gone(Exception):
    """The other side is gone; `for_good` if it closed in order and will not come back."""

    def __init__(self, *, for_good: bool) -> None:
        super().__init__()
        self.for_good = for_good


class Channel(Protocol):
    """All methods raise `Gone`, except `close`, which never waits long."""

    async def open(self) -> None:
        """The client has its stream."""
        ...

    async def refuse(self, fault: CohearError) -> bool:
        """Refuse the connection itself. False: it is open already, so messages must tell the fault."""
        ...

    async def receive(self) -> Said:
        """The next message. Raises ClientError for one that ends the stream."""
        ...

    async def send(self, said: Said) -> None: ...

    async def close(self, code: int) -> None: ...


class WebSocketChannel:
    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def open(self) -> None:
        """It was opened before its first message."""

    async def refuse(self, fault: CohearError) -> bool:
        return False

    async def receive(self) -> Said:
        try:
            message = await self._socket.receive()
        except WebSocketDisconnect as gone:
            raise Gone(for_good=gone.code == CLOSE_NORMAL) from None
        if message["type"] == "websocket.disconnect":
            # a client that closes normally does not come back
            raise Gone(for_good=message.get("code") == CLOSE_NORMAL)
        said: Said | None = message.get("bytes")
        return said if said is not None else str(message.get("text", ""))

    async def send(self, said: Said) -> None:
        try:
            if isinstance(said, str):
                await self._socket.send_text(said)
            else:
                await self._socket.send_bytes(said)
        except (WebSocketDisconnect, RuntimeError):
            # Starlette raises RuntimeError when the close was seen by the reader first
            raise Gone(for_good=False) from None

    async def close(self, code: int) -> None:
        try:
            # a client that does not read does not take the close frame either
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._socket.close(code)
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            logger.debug("the client was gone before the close")


def caller_of(connection: HTTPConnection) -> Caller:
    """Who opened a connection, and from where."""
    caller: Caller = connection.scope.get(SCOPE, ANYONE)
    return replace(caller, address=network_of(connection.client.host if connection.client else ""))
