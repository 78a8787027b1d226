"""Which host names in a request are accepted. Otherwise a page of a foreign name whose address was changed to ours (DNS
rebinding) would count as our own page, also on loopback.

Numeric addresses are always accepted: nobody can make them mean another machine. `web` checks the Origin.
"""

from __future__ import annotations

import ipaddress
import socket

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from ..config import ServerConfig, allowed_hosts
from ..errors import ClientError
from .refusals import told_on

LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost")


class Hosts:
    """ASGI middleware: 421 for a request that is meant for another name."""

    def __init__(self, app: ASGIApp, *, config: ServerConfig) -> None:
        self._app = app
        self._names = known_names(config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host") if scope["type"] in ("http", "websocket") else None
        # a program that speaks HTTP/1.0 may send no Host; a browser always does
        if host is None or host_allowed(host, self._names):
            await self._app(scope, receive, send)
        else:
            await _refusal(host, scope)(scope, receive, send)


def known_names(config: ServerConfig) -> frozenset[str]:
    """The names in the settings, those of this machine, and that of the interface if it has one."""
    own = socket.gethostname().lower()
    return frozenset({*LOCAL_NAMES, own, f"{own}.local", config.host.lower(), *allowed_hosts(config)} - {""})


def host_allowed(host: str, names: frozenset[str]) -> bool:
    """`host` is a Host header, with or without a port."""
    if "*" in names:
        return True
    name, bracket, port = host.strip().lower().rpartition("]")
    if bracket:  # [::1]:8765
        return _is_address(name.removeprefix("[")) and (not port or port.startswith(":"))
    name = host.strip().lower().partition(":")[0].removesuffix(".")
    return name in names or _is_address(name)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _refusal(host: str, scope: Scope) -> ASGIApp:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        return WebSocketClose()  # this server can say no more than 403
    fault = ClientError(
        "unknown_host",
        f"this server does not go by the name {host!r:.80}",
        "call it by its address, or start it with --allowed-hosts NAME",
    )
    return JSONResponse(told_on(scope["path"], fault), status_code=421, headers={"cache-control": "no-store"})
