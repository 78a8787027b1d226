"""The way in: `/v1/realtime` for a session, and `/v1/realtime/client_secrets` for words that let browsers in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from secrets import token_hex

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from ...config import allowed_origins
from ...errors import ClientError, CohearError, OverloadError
from ...live.service import Service
from ..channel import WebSocketChannel, caller_of
from ..connection import serve
from ..credentials import secret_of
from ..sockets import allow_messages, retry_after
from ..web import origin_allowed, sharing
from .client_secrets import PREFIX, ClientSecrets, Wanted
from .faults import fault_of
from .realtime import RealtimeWire
from .requests import MAX_MESSAGE_BYTES, Session
from .settings import Offer, Settings

PATH = "/v1/realtime"
SUBPROTOCOL = "realtime"
BETA_HEADER, BETA_SUBPROTOCOL = "realtime=v1", "openai-beta.realtime-v1"
MAX_BODY_BYTES = 64 << 10
BODY_S = 10.0
"""time for the body of a request"""

Issue = Callable[[Headers, float], str]
"""A new secret for whoever sent these headers, that lets its bearer in for so many seconds. Raises ClientError."""

WARMING_UP = OverloadError("warming_up", "the model is not loaded yet", "try again shortly", retry_after_s=1.0)


def routes(service: Service, issue: Issue) -> list[BaseRoute]:
    secrets = ClientSecrets()

    async def realtime(socket: WebSocket) -> None:
        if not origin_allowed(socket.headers, allowed_origins(service.config)):
            await socket.close()  # before it is accepted: the browser gets a 403
            return
        if not service.ready:
            await socket.send_denial_response(refusal(WARMING_UP))
            return
        offered = socket.scope.get("subprotocols", [])
        beta = BETA_SUBPROTOCOL in offered or BETA_HEADER in socket.headers.get("openai-beta", "")
        settings = secrets.settings_of(secret_of(socket.scope, socket.headers)) or Settings.usual(offer_of(service))
        allow_messages(socket.scope, MAX_MESSAGE_BYTES)
        await socket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        await serve(WebSocketChannel(socket), RealtimeWire(settings, beta=beta), service, caller_of(socket))

    async def client_secret(request: Request) -> Response:
        shared = sharing(request.headers, service)
        try:
            if not service.ready:
                raise WARMING_UP
            wanted = read_wanted(await body_of(request))
            settings = Settings.usual(offer_of(service)).updated(wanted.session or Session())
            secret = PREFIX + issue(request.headers, wanted.life_s)
            until_s = secrets.keep(caller_of(request).key_id, secret, settings, wanted.life_s)
        except CohearError as fault:
            return refusal(fault, shared)
        session = settings.told(f"sess_{token_hex(8)}")
        told = {"value": secret, "expires_at": until_s, "session": session}
        return JSONResponse(told, headers={**shared, "cache-control": "no-store"})

    return [WebSocketRoute(PATH, realtime), Route(f"{PATH}/client_secrets", client_secret, methods=["POST"])]


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


def read_wanted(body: bytes) -> Wanted:
    """Raises ClientError(`invalid_value`)."""
    try:
        return msgspec.json.decode(body or b"{}", type=Wanted)
    except (msgspec.DecodeError, RecursionError) as fault:
        raise ClientError("invalid_value", f"the body cannot be used ({fault})", "send the JSON of a session") from None


def refusal(fault: CohearError, headers: dict[str, str] | None = None) -> Response:
    """An error as the SDKs read it."""
    status, extra = 500, {}
    match fault:
        case OverloadError():
            status, extra = 429 if fault.code == "too_many_secrets" else 503, retry_after(fault)
        case ClientError():
            status = {"unauthorized": 403, "too_large": 413, "slow_request": 408}.get(fault.code, 400)
    body = {"error": msgspec.to_builtins(fault_of(fault))}
    return JSONResponse(body, status_code=status, headers={**(headers or {}), **extra, "cache-control": "no-store"})
