"""Messages on their way to one client. A slow reader gets fewer partials, never fewer finals.

Bounded: one partial and one `stats` wait at most, a newer one replaces it; everything else queues
up to `LIMIT` messages, and beyond that the reader counts as gone (`overflowed`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace

from cohear_client.protocol import Final, Partial, ServerMessage, Stats

from .timing import JobTrace, timing

LIMIT = 256
"""Over 20 minutes of finals of continuous speech."""


@dataclass(frozen=True, slots=True)
class _Entry:
    message: ServerMessage
    trace: JobTrace | None
    origin_s: float
    emitted_s: float


class Outbox:
    def __init__(self) -> None:
        self.overflowed = False
        self.coalesced = 0
        """partials that were replaced before they could be sent"""
        self._entries: deque[_Entry] = deque()
        self._changed = asyncio.Event()
        self.closed = asyncio.Event()
        """nothing more will be read from here"""

    def put(self, message: ServerMessage, now_s: float, trace: JobTrace | None = None, origin_s: float = 0.0) -> None:
        if isinstance(message, Partial | Stats):
            self._drop(type(message))
        elif isinstance(message, Final):
            self._drop(Partial)
        if len(self._entries) >= LIMIT:
            self.overflowed = True
            self.close()
            return
        self._entries.append(_Entry(message, trace, origin_s, now_s))
        self._changed.set()

    def close(self) -> None:
        """Nothing more will be read: a waiting `get` returns None."""
        self.closed.set()
        self._changed.set()

    async def wait(self) -> bool:
        """Until a message waits (True) or the outbox is closed (False)."""
        while not self.closed.is_set() and not self._entries:
            self._changed.clear()
            await self._changed.wait()
        return not self.closed.is_set()

    def take(self, now_s: float) -> ServerMessage:
        """The oldest message; its timing ends now, as it goes to the socket."""
        entry = self._entries.popleft()
        message = entry.message
        if entry.trace is not None and isinstance(message, Partial | Final):
            message = replace(message, timing=timing(entry.trace, entry.origin_s, entry.emitted_s, now_s))
        return message

    def _drop(self, kind: type[Partial] | type[Stats]) -> None:
        for entry in self._entries:
            if isinstance(entry.message, kind):
                self._entries.remove(entry)
                self.coalesced += 1
                return
