"""The one gate in front of everything that the server answers: without a key it is closed.

It stands before the routes, so that a new one is closed until it is named here. What tells how the server fares wants
a key of an operator. Open to all are health checks and the
pages' own files, which hold nothing of anybody. `credentials` finds the key.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from ..errors import ClientError
from ..live.caller import SCOPE, Caller
from ..live.service import Service
from ..wire.credentials import bearer, secret_of
from ..wire.refusals import told_on
from ..wire.web import sharing
from .keyring import Keyring
from .keys import OPERATE, STREAM
from .tokens import LIFE_S, Tokens

OPEN_PATHS = frozenset({"/", "/dashboard", "/docs", "/openapi.json", "/healthz", "/readyz"})
OPEN_FILES = "/web/"
OPERATOR_PATHS = frozenset({"/metrics", "/v1/status"})
TOKEN_PATH = "/v1/token"

_HOW = "send one as `Authorization: Bearer KEY`; the operator makes them with `cohear keys add NAME`"
NO_KEY = ClientError("unauthorized", "this server asks for a key", _HOW)
BAD_KEY = ClientError("unauthorized", "this server does not know that key, or it was revoked", _HOW)
OPERATORS_ONLY = ClientError(
    "forbidden",
    "this key may not see how the server fares",
    "ask with an operator's key: `cohear keys add NAME --scope operate`",
)
STREAMS_ONLY = ClientError(
    "forbidden", "this key may not stream", "ask with another key: `cohear keys add NAME --scope stream`"
)
NOT_A_KEY = ClientError("unauthorized", "a token cannot get another one", f"ask with the key; tokens hold {LIFE_S} s")


class Door:
    """Who may pass: the keys and the tokens of one server."""

    def __init__(self, keyring: Keyring, tokens: Tokens) -> None:
        self.keyring = keyring
        self.tokens = tokens

    def caller_of(self, secret: str) -> Caller | None:
        """By a key, or by a token whose key still holds."""
        caller = self.keyring.caller_of(secret)
        if caller is None:
            caller = self.tokens.caller_of(secret)
            if caller is not None and not self.keyring.holds(caller):
                return None
        return caller

    def token(self, headers: Headers, life_s: float) -> str:
        """A token for whoever sent these headers, good for so many seconds. Raises ClientError for one without a
        key."""
        caller = self.keyring.caller_of(bearer(headers))
        if caller is None:
            raise NOT_A_KEY
        return self.tokens.issue(caller, life_s)


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, door: Door, service: Service) -> None:
        self._app = app
        self._door = door
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or _is_open(scope):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if _is_preflight(scope, headers):
            await self._preflight(headers)(scope, receive, send)
            return
        secret = secret_of(scope, headers)
        caller = self._door.caller_of(secret) if secret else None
        fault = _lacking(caller, scope["path"]) if caller else BAD_KEY if secret else NO_KEY
        if fault is not None:
            self._service.observer.refused(fault.code)
            await _refusal(fault, sharing(headers, self._service), scope)(scope, receive, send)
            return
        scope[SCOPE] = caller
        await self._app(scope, receive, send)

    def _preflight(self, headers: Headers) -> Response:
        """A page of another host asks whether it may ask; browsers send no key with that."""
        allowed = sharing(headers, self._service)
        if "access-control-allow-origin" in allowed:
            methods = {"access-control-allow-methods": "GET, POST", "access-control-allow-headers": "authorization"}
            return Response(status_code=204, headers={**allowed, **methods, "access-control-max-age": "600"})
        return Response(status_code=403, headers=allowed)


def token_route(door: Door, service: Service) -> BaseRoute:
    """`POST /v1/token`: a token for whoever has a key."""

    async def token(request: Request) -> Response:
        headers = {**sharing(request.headers, service), "cache-control": "no-store"}
        try:
            return JSONResponse({"token": door.token(request.headers, LIFE_S), "expires_in_s": LIFE_S}, headers=headers)
        except ClientError as fault:
            return JSONResponse(told_on(TOKEN_PATH, fault), status_code=403, headers=headers)

    return Route(TOKEN_PATH, token, methods=["POST"])


def _is_open(scope: Scope) -> bool:
    if scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD"):
        return False
    path: str = scope["path"]
    return path in OPEN_PATHS or path.startswith(OPEN_FILES)


def _lacking(caller: Caller, path: str) -> ClientError | None:
    """Why this caller may not go there, whose key is good."""
    if path == TOKEN_PATH:
        return None
    if path in OPERATOR_PATHS:
        return None if OPERATE in caller.scopes else OPERATORS_ONLY
    return None if STREAM in caller.scopes else STREAMS_ONLY


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    asked = scope["type"] == "http" and scope["method"] == "OPTIONS"
    return asked and "origin" in headers and "access-control-request-method" in headers


def _refusal(fault: ClientError, headers: dict[str, str], scope: Scope) -> ASGIApp:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        return WebSocketClose()  # this server can say no more than 403
    headers = {**headers, "cache-control": "no-store"}
    body = told_on(scope["path"], fault)
    if fault.code == "forbidden":
        return JSONResponse(body, status_code=403, headers=headers)
    return JSONResponse(body, status_code=401, headers={**headers, "www-authenticate": 'Bearer realm="cohear"'})
