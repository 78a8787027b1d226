"""Deepgram's routes: `/v1/listen`. The request says all, so what is wrong with it is told by an HTTP answer."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ...config import allowed_origins
from ...errors import ClientError, CohearError, OverloadError
from ...live.service import Service
from ..channel import Gone, WebSocketChannel, caller_of
from ..connection import serve
from ..containers import ContainerChannel
from ..sockets import allow_messages, retry_after
from ..web import origin_allowed
from ..wire import Said
from .faults import body_of, status_of
from .live import DeepgramWire, ends
from .query import Asked, read_query

PATH = "/v1/listen"
SUBPROTOCOLS = ("token", "bearer")
"""a browser names one of them, and behind it what would stand in the Authorization header"""

MAX_MESSAGE_BYTES = 2 << 20
"""of one message; the connection tells those that are half as long that they are too large"""

FOREIGN = ClientError(
    "forbidden", "pages of that origin may not use this server", "start it with --allowed-origins https://HOST"
)


def routes(service: Service) -> list[BaseRoute]:
    async def live(socket: WebSocket) -> None:
        listening = ListenChannel(socket)
        try:
            if not origin_allowed(socket.headers, allowed_origins(service.config)):
                raise FOREIGN
            asked = ask(socket, listening.request_id)
            wire = DeepgramWire(asked, listening.digest)
        except CohearError as fault:
            service.observer.refused(fault.code)
            await listening.refuse(fault)
            return
        allow_messages(socket.scope, MAX_MESSAGE_BYTES)
        if not asked.query.packed:
            await serve(listening, wire, service, caller_of(socket))
            return
        unpacking = ContainerChannel(listening, ends)
        try:
            await serve(unpacking, wire, service, caller_of(socket))
        finally:
            unpacking.stop()

    return [WebSocketRoute(PATH, live)]


class ListenChannel(WebSocketChannel):
    """A websocket that is opened when it has a stream, with the number of the request. It sums up the audio."""

    def __init__(self, socket: WebSocket) -> None:
        super().__init__(socket)
        self.request_id = str(uuid.uuid4())
        self._sum = hashlib.sha256()

    def digest(self) -> str:
        """SHA-256 of all audio so far, in hexadecimal."""
        return self._sum.hexdigest()

    async def open(self) -> None:
        offered = [name for name in self._socket.scope.get("subprotocols", []) if name.lower() in SUBPROTOCOLS]
        headers = [(b"dg-request-id", self.request_id.encode())]
        try:
            await self._socket.accept(subprotocol=offered[0] if offered else None, headers=headers)
        except (WebSocketDisconnect, RuntimeError):
            raise Gone(for_good=True) from None

    async def refuse(self, fault: CohearError) -> bool:
        await self._socket.send_denial_response(refusal(fault, self.request_id))
        return True

    async def receive(self) -> Said:
        said = await super().receive()
        if isinstance(said, bytes):
            self._sum.update(said)
        return said


def ask(connection: HTTPConnection, request_id: str) -> Asked:
    """What the request asks for. Raises ClientError(`bad_field`)."""
    query = read_query(connection.query_params.multi_items())
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Asked(query, request_id, now)


def refusal(fault: CohearError, request_id: str, headers: dict[str, Any] | None = None) -> Response:
    """The answer to a request that is refused."""
    own = {"dg-request-id": request_id, "cache-control": "no-store", **(headers or {})}
    own |= retry_after(fault) if isinstance(fault, OverloadError) else {}
    return JSONResponse(body_of(fault, request_id), status_code=status_of(fault), headers=own)
