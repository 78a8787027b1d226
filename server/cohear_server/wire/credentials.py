"""What a connection shows of who it is: a key or a token, where each kind of client may put it. It checks nothing.

A key comes in the Authorization header, never in an address, which ends up in logs; a browser's websocket can send no
header, and names its secret as one more subprotocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers

TOKEN_PREFIX = "cohear.token."
"""a subprotocol that begins so carries what the Authorization header would"""
SECRET_SUBPROTOCOLS = (TOKEN_PREFIX, "openai-insecure-api-key.")
"""the same, by each protocol's own name"""


def secret_of(scope: Mapping[str, Any], headers: Headers) -> str:
    """A key or a token; empty if nothing is shown."""
    if scope["type"] == "websocket" and "authorization" not in headers:
        kinds: list[str] = scope.get("subprotocols", [])
        found = (kind.removeprefix(start) for kind in kinds for start in SECRET_SUBPROTOCOLS if kind.startswith(start))
        return next(found, "")
    return bearer(headers)


def bearer(headers: Headers) -> str:
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""
