"""Client secrets: short-lived words that a backend hands to its browsers, each with the settings of their sessions.

Whoever made one decides what it lets in (`access`); here is what it stands for, and until when. Bounded: so many for
each key, beyond which no more are made; those that have expired make room.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec

from ...errors import OverloadError
from .requests import Session
from .settings import Settings

MOST_EACH = 1_000
PREFIX = "ek_"


class ExpiresAfter(msgspec.Struct, frozen=True):
    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, msgspec.Meta(ge=10, le=7_200)] = 600


class Wanted(msgspec.Struct, frozen=True):
    """The request for one."""

    expires_after: ExpiresAfter | None = None
    session: Session | None = None

    @property
    def life_s(self) -> int:
        return (self.expires_after or ExpiresAfter()).seconds


class ClientSecrets:
    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._kept: dict[str, dict[str, tuple[float, Settings]]] = defaultdict(dict)
        """by owner and secret"""

    def keep(self, owner: str, secret: str, settings: Settings, life_s: float) -> int:
        """Until when it holds, in seconds since 1970. Raises OverloadError(`too_many_secrets`)."""
        now_s = self._clock()
        for other, kept in list(self._kept.items()):
            for known in [known for known, (until_s, _) in kept.items() if until_s <= now_s]:
                del kept[known]
            if not kept:
                del self._kept[other]
        if len(self._kept[owner]) >= MOST_EACH:
            what = f"this key has {MOST_EACH} client secrets that hold"
            raise OverloadError("too_many_secrets", what, "let some expire", retry_after_s=10.0)
        self._kept[owner][secret] = (now_s + life_s, settings)
        return int(now_s + life_s)

    def settings_of(self, secret: str) -> Settings | None:
        """What it stands for; None if it is none of these, or has expired."""
        found = (kept[secret] for kept in self._kept.values() if secret in kept)
        until_s, settings = next(found, (0.0, None))
        return settings if until_s > self._clock() else None
