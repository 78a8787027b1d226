"""The answers of a server that still looks for its model, which may be a download: it is alive, and not ready yet."""

from __future__ import annotations

from cohear_client.protocol import PATH
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from ..config import ServerConfig
from ..errors import OverloadError
from .channel import WebSocketChannel
from .connection import refuse
from .hosts import Hosts
from .native import NativeWire
from .refusals import told_on
from .sockets import retry_after

WARMING_UP = OverloadError("warming_up", "the model is not loaded yet", "try again shortly", retry_after_s=1.0)


class Front:
    """The ASGI application that the sockets see: `app`, which may be put in its place while they are open."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def starting_app(config: ServerConfig) -> Starlette:
    """An application that asks for no key and shows only the state of the server."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def not_yet(_: Request) -> Response:
        return JSONResponse({"status": "loading the model"}, status_code=503, headers={"retry-after": "1"})

    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        await refuse(WebSocketChannel(socket), NativeWire(), WARMING_UP)

    async def other_stream(socket: WebSocket) -> None:
        told = told_on(socket.scope["path"], WARMING_UP)
        await socket.send_denial_response(JSONResponse(told, status_code=503, headers=retry_after(WARMING_UP)))

    others = [
        Route("/{path:path}", not_yet, methods=["GET", "HEAD", "POST", "OPTIONS"]),
        WebSocketRoute("/{path:path}", other_stream),
    ]
    routes = [Route("/healthz", healthz), WebSocketRoute(PATH, stream), *others]
    return Starlette(routes=routes, middleware=[Middleware(Hosts, config=config)])
