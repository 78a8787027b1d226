"""A request for a stream or a file: what it asks for, its number, and the answer to one that is refused.

The request says all, so what is wrong with it is told by an HTTP answer, before a websocket opens.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from ...errors import ClientError, CohearError, OverloadError
from ..channel import Gone, WebSocketChannel
from ..sockets import retry_after
from ..wire import Said
from .faults import body_of, status_of
from .query import Asked, read_query

SUBPROTOCOLS = ("token", "bearer")
"""a browser names one of them, and behind it what would stand in the Authorization header"""

FOREIGN = ClientError(
    "forbidden", "pages of that origin may not use this server", "start it with --allowed-origins https://HOST"
)


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


def refusal(fault: CohearError, request_id: str) -> Response:
    """The answer to a request that is refused."""
    own = {"dg-request-id": request_id, "cache-control": "no-store"}
    own |= retry_after(fault) if isinstance(fault, OverloadError) else {}
    return JSONResponse(body_of(fault, request_id), status_code=status_of(fault), headers=own)
