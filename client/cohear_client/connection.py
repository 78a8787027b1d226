"""Opens a stream: finds the endpoint, opens the websocket, says `start` and waits for `ready`.

Every failure becomes one exception of the family. What happens on the open stream, and when to open it again, is in
`stream`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import msgspec
import websockets.asyncio.client as ws
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from .errors import ClientError, CohearError, OverloadError, ServerError
from .link import PING_S, Socket, lost
from .messages import tag_of
from .protocol import PATH, SUBPROTOCOL, Error, Ready, Start, encode, error_exception
from .stream import Stream, parse

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)
"""the websocket's logger; in debug it would log each header, with the key"""

KEY_VARIABLE = "COHEAR_API_KEY"
DEFAULT_URL = "ws://127.0.0.1:8765"
OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
MAX_MESSAGE_BYTES = 4 << 20
"""Largest message taken from a server; a final with the words of 30 s is some 10 kB."""

_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_TAKES_PROXY = "proxy" in inspect.signature(ws.connect.__init__).parameters  # since websockets 15


@asynccontextmanager
async def connect(
    url: str = DEFAULT_URL,
    start: Start | None = None,
    *,
    open_timeout_s: float = OPEN_TIMEOUT_S,
    reconnect: bool = True,
    api_key: str | None = None,
    **options: Any,
) -> AsyncIterator[Stream]:
    """Open a stream at `url`; `options` are fields of `Start`, and change `start` where both are given.

    With `reconnect` a lost connection is opened again and the session resumed, while the server keeps it; `warning`
    events report it. `api_key` is for servers that ask for one (default: the environment's COHEAR_API_KEY).

    Raises ClientError (`bad_url`, `unauthorized`, or what the server refused), OverloadError (no room now) or
    ServerError (`connection_refused`, `connection_lost`, `timeout`, `not_cohear`).
    """
    start = msgspec.structs.replace(start or Start(), **options)
    target = endpoint(url)
    headers = _authorization(os.environ.get(KEY_VARIABLE, "") if api_key is None else api_key)

    async def open_stream(wanted: Start) -> tuple[Socket, Ready]:
        socket = await _open(target, open_timeout_s, headers)
        try:
            return socket, await _greet(socket, wanted, open_timeout_s, target)
        except BaseException:
            await socket.close()
            raise

    socket, ready = await open_stream(start)
    stream = Stream(socket, start, ready, open_stream if reconnect else None)
    try:
        yield stream
    finally:
        await stream.aclose()


def endpoint(url: str) -> str:
    """The websocket address of a server: `http` becomes `ws`, the protocol's path is added if missing.

    Raises ClientError (`bad_url`).
    """
    try:
        parts = urlsplit(url if "://" in url else f"ws://{url}")
        usable = parts.scheme in _SCHEMES and parts.hostname is not None and parts.port != 0
    except ValueError:  # an impossible port or IPv6 address
        usable = False
    if not usable:
        raise ClientError("bad_url", f"{url!r} is not the address of a server", f"use one like {DEFAULT_URL}")
    path = parts.path.rstrip("/")
    if not path.endswith(PATH):
        path += PATH
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, parts.query, ""))


def _authorization(key: str) -> dict[str, str]:
    """Raises ClientError (`bad_key`) for what no header can hold."""
    key = key.strip()
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ClientError("bad_key", "the API key holds characters that no key has", "copy it again, in one line")
    return {"Authorization": f"Bearer {key}"}


async def _open(target: str, timeout_s: float, headers: dict[str, str]) -> Socket:
    settings: dict[str, Any] = {
        "additional_headers": headers,
        "logger": logger,
        "subprotocols": [Subprotocol(SUBPROTOCOL)],
        "compression": None,  # speech does not deflate; it would only cost time
        "max_size": MAX_MESSAGE_BYTES,
        "open_timeout": timeout_s,
        "close_timeout": CLOSE_TIMEOUT_S,
        "ping_interval": PING_S,
        "ping_timeout": None,  # pings wait behind audio: `link` takes any byte for a sign of life
        "create_connection": Socket,
    }
    if _TAKES_PROXY and urlsplit(target).hostname in _LOOPBACK:
        settings["proxy"] = None
    try:
        return cast("Socket", await ws.connect(target, **settings))
    except InvalidStatus as refusal:
        raise _refused(refusal, target, with_key=bool(headers)) from refusal
    except TimeoutError as late:
        raise _timeout(target, timeout_s) from late
    except InvalidHandshake as strange:
        raise _not_cohear(target, str(strange)) from strange
    except OSError as fault:
        raise _unreachable(fault, target) from fault


async def _greet(socket: Socket, start: Start, timeout_s: float, target: str) -> Ready:
    try:
        await socket.send(encode(start))
        async with asyncio.timeout(timeout_s):
            answer = parse(await socket.recv())
    except TimeoutError as late:
        raise _timeout(target, timeout_s) from late
    except ConnectionClosed as closed:
        raise lost(closed) from closed
    if isinstance(answer, Error):
        raise error_exception(answer)
    if not isinstance(answer, Ready):
        raise _not_cohear(target, f"its first message is {tag_of(answer)!r}")
    return answer


def _unreachable(fault: OSError, target: str) -> CohearError:
    host = urlsplit(target).netloc
    if isinstance(fault, ConnectionRefusedError) or "Connect call failed" in str(fault):
        return ServerError(
            "connection_refused", f"nothing answers at {host}", "start a server with `cohear serve`, or give its --url"
        )
    if isinstance(fault, ssl.SSLCertVerificationError):
        remedy = "use the name in its certificate; if its authority is your own, name that file in SSL_CERT_FILE"
        return ServerError("bad_certificate", f"the certificate of {host} is not good: {fault.verify_message}", remedy)
    reason = fault.strerror or str(fault) or type(fault).__name__
    return ServerError("connection_failed", f"cannot connect to {host} ({reason})", "check the address and the network")


def _refused(refusal: InvalidStatus, target: str, *, with_key: bool) -> CohearError:
    status, headers = refusal.response.status_code, refusal.response.headers
    host = urlsplit(target).netloc
    if status in (401, 403):
        return _unauthorized(host, status, with_key=with_key)
    if status in (429, 503):
        wait = headers.get("Retry-After", "")
        retry_after_s = float(wait) if wait.isdigit() else 1.0
        return OverloadError(
            "no_room", f"{host} has no room now ({status})", "try again later", retry_after_s=retry_after_s
        )
    return _not_cohear(target, f"HTTP status {status}")


def _unauthorized(host: str, status: int, *, with_key: bool) -> ClientError:
    if status == 403:
        return ClientError("unauthorized", f"{host} does not let this client in (403)", "check the key or address")
    if with_key:
        remedy = "check it for missing characters, or ask the operator for another one"
        return ClientError("unauthorized", f"{host} does not take this API key (401)", remedy)
    remedy = f"give it as api_key, as --key, or in the environment as {KEY_VARIABLE}"
    return ClientError("unauthorized", f"{host} asks for an API key (401)", remedy)


def _not_cohear(target: str, reason: str) -> ServerError:
    return ServerError("not_cohear", f"no Cohear server answers at {target} ({reason})", "check the address")


def _timeout(target: str, timeout_s: float) -> ServerError:
    host = urlsplit(target).netloc
    return ServerError(
        "timeout", f"{host} did not answer within {timeout_s:g} s", "see whether the server is overloaded"
    )
