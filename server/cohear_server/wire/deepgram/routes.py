"""Deepgram's routes: `/v1/listen`, a websocket for a stream, and POST for a file."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from ...batch.uploads import Uploads
from ...config import allowed_origins
from ...errors import CohearError
from ...live.service import Service
from ..channel import caller_of
from ..connection import serve
from ..containers import ContainerChannel
from ..sockets import allow_messages
from ..web import origin_allowed
from .files import Files
from .handshake import FOREIGN, ListenChannel, ask
from .live import DeepgramWire, ends

PATH = "/v1/listen"
MAX_MESSAGE_BYTES = 2 << 20
"""of one message; the connection tells those that are half as long that they are too large"""


def routes(service: Service, uploads: Uploads) -> list[BaseRoute]:
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

    return [WebSocketRoute(PATH, live), Route(PATH, Files(service, uploads).listen, methods=["POST"])]
