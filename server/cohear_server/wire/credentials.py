"""What a connection shows of who it is: a key or a token, where each kind of client may put it. It checks nothing.

A key comes in the Authorization header, never in an address, which ends up in logs; a browser's websocket can send no
header, and names its secret as one more subprotocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.datastructures import Headers

TOKEN_PREFIX = "cohear.token."
"""a subprotocol that begins so carries what the Authorization header would"""
SECRET_PREFIXES = (TOKEN_PREFIX, "openai-insecure-api-key.")
"""the same, by each protocol's own name"""
SCHEMES = frozenset({"bearer", "token"})
"""before a key or a token in the Authorization header; Deepgram's clients say `Token`"""


def secret_of(scope: Mapping[str, Any], headers: Headers) -> str:
    """A key or a token; empty if nothing is shown."""
    if scope["type"] == "websocket" and "authorization" not in headers:
        return _offered(scope.get("subprotocols", []))
    return bearer(headers)


def bearer(headers: Headers) -> str:
    """What the Authorization header shows."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() in SCHEMES else ""


def _offered(kinds: Sequence[str]) -> str:
    """The secret among the subprotocols of a browser: in one of their own, or behind the name of a scheme."""
    if len(kinds) == 2 and kinds[0].lower() in SCHEMES:
        return kinds[1]
    found = (kind.removeprefix(start) for kind in kinds for start in SECRET_PREFIXES if kind.startswith(start))
    return next(found, "")
