"""Short-lived tokens for browsers, which cannot keep a key secret. They are signed with a secret of this process."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from ..live.caller import Caller

LIFE_S = 60
"""A token is needed only to open a connection; open connections stay open."""
PREFIX = "ek_"
"""of those that OpenAI's clients take for client secrets"""

_MAX_CHARS = 512


class Tokens:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)

    def issue(self, caller: Caller, life_s: float = LIFE_S) -> str:
        """Good for `life_s`; made of characters that a websocket subprotocol may hold."""
        scopes = "+".join(sorted(caller.scopes))
        body = _encoded(f"{self._clock() + life_s:.3f}:{caller.key_id}:{scopes}:{caller.tenant}".encode())
        return f"{body}.{_encoded(self._seal(body))}"

    def caller_of(self, token: str) -> Caller | None:
        """Whom it was issued to; None if it is not ours, or has expired."""
        body, dot, seal = token[:_MAX_CHARS].removeprefix(PREFIX).partition(".")
        # compared as bytes: a text with other characters than ASCII would raise
        if not dot or not hmac.compare_digest(seal.encode(), _encoded(self._seal(body)).encode()):
            return None
        told = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        expires_s, key_id, scopes, tenant = told.split(":", 3)
        caller = Caller(tenant, key_id, frozenset(filter(None, scopes.split("+"))))
        return caller if float(expires_s) > self._clock() else None

    def _seal(self, body: str) -> bytes:
        return hmac.digest(self._secret, body.encode(), hashlib.sha256)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
