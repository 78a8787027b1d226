"""The way in: `/v1/realtime` for a session, and two paths, of the present API and of the beta, for client secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from secrets import token_hex
from typing import Any, TypeVar

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ...config import allowed_origins
from ...errors import ClientError, CohearError, OverloadError
from ...live.service import Service
from ..channel import Gone, WebSocketChannel, caller_of
from ..connection import serve
from ..credentials import secret_of
from ..openai.faults import error_object, status_of
from ..sockets import allow_messages, retry_after
from ..starting import WARMING_UP
from ..web import origin_allowed, sharing
from .client_secrets import PREFIX, ClientSecrets, Wanted
from .realtime import RealtimeWire
from .requests import MAX_MESSAGE_BYTES, Session
from .settings import Offer, Settings

T = TypeVar("T")

PATH = "/v1/realtime"
SECRETS_PATH, BETA_SECRETS_PATH = f"{PATH}/client_secrets", f"{PATH}/transcription_sessions"
SUBPROTOCOL = "realtime"
BETA_HEADER, BETA_SUBPROTOCOL = "realtime=v1", "openai-beta.realtime-v1"
MAX_BODY_BYTES = 64 << 10
BODY_S = 10.0
"""time for the body of a request"""

Issue = Callable[[Headers, float], str]
"""A new secret for whoever sent these headers, that lets its bearer in for so many seconds. Raises ClientError."""


def routes(service: Service, issue: Issue) -> list[BaseRoute]:
    secrets = ClientSecrets()

    async def realtime(socket: WebSocket) -> None:
        channel = RealtimeChannel(socket)
        if not origin_allowed(socket.headers, allowed_origins(service.config)):
            await socket.close()  # before it is accepted: the browser gets a 403
            return
        if not service.ready:
            service.observer.refused(WARMING_UP.code)
            await channel.refuse(WARMING_UP)
            return
        beta = BETA_SUBPROTOCOL in channel.offered or BETA_HEADER in socket.headers.get("openai-beta", "")
        settings = secrets.settings_of(secret_of(socket.scope, socket.headers)) or Settings.usual(offer_of(service))
        await serve(channel, RealtimeWire(settings, beta=beta), service, caller_of(socket))

    def made(request: Request, wanted: Wanted, *, beta: bool) -> dict[str, Any]:
        """A client secret and its session, as either shape has them."""
        settings = Settings.usual(offer_of(service)).updated(wanted.session or Session())
        secret = PREFIX + issue(request.headers, wanted.life_s)
        until_s = secrets.keep(caller_of(request).key_id, secret, settings, wanted.life_s)
        held = {"value": secret, "expires_at": until_s}
        session = settings.told(f"sess_{token_hex(8)}", beta=beta)
        return {**session, "client_secret": held} if beta else {**held, "session": session}

    async def client_secret(request: Request) -> Response:
        beta = request.url.path == BETA_SECRETS_PATH
        shared = sharing(request.headers, service)
        try:
            if not service.ready:
                raise WARMING_UP
            body = await body_of(request)
            wanted = Wanted(session=read(body, Session)) if beta else read(body, Wanted)
            told = made(request, wanted, beta=beta)
        except CohearError as fault:
            return refusal(fault, shared)
        return JSONResponse(told, headers={**shared, "cache-control": "no-store"})

    secret_routes = [Route(path, client_secret, methods=["POST"]) for path in (SECRETS_PATH, BETA_SECRETS_PATH)]
    return [WebSocketRoute(PATH, realtime), *secret_routes]


class RealtimeChannel(WebSocketChannel):
    """A websocket that is opened when it has a stream. Its messages may hold much audio."""

    @property
    def offered(self) -> list[str]:
        """Subprotocols of the client."""
        kinds: list[str] = self._socket.scope.get("subprotocols", [])
        return kinds

    async def open(self) -> None:
        allow_messages(self._socket.scope, MAX_MESSAGE_BYTES)
        try:
            await self._socket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in self.offered else None)
        except (WebSocketDisconnect, RuntimeError):
            raise Gone(for_good=True) from None

    async def refuse(self, fault: CohearError) -> bool:
        await self._socket.send_denial_response(refusal(fault))
        return True


def offer_of(service: Service) -> Offer:
    return Offer(service.model, service.config.endpoint_ms, service.config.max_segment_s)


async def body_of(request: Request) -> bytes:
    """Raises ClientError (`too_large`, `slow_request`)."""
    body = b""
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    raise ClientError("too_large", "the body is too large", f"send at most {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        raise ClientError("slow_request", "the body did not come", f"send it within {BODY_S:.0f} s") from None
    return body


def read(body: bytes, kind: type[T]) -> T:
    """Raises ClientError(`invalid_value`)."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, RecursionError) as fault:
        raise ClientError("invalid_value", f"the body cannot be used ({fault})", "send the JSON of a session") from None


def refusal(fault: CohearError, headers: dict[str, str] | None = None) -> Response:
    """An error as the SDKs read it."""
    extra = retry_after(fault) if isinstance(fault, OverloadError) else {}
    every = {**(headers or {}), **extra, "cache-control": "no-store"}
    return JSONResponse(error_object(fault), status_code=status_of(fault), headers=every)
