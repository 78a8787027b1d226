"""Messages on their way to one client. A slow reader gets fewer partials, never fewer finals.

Bounded: one partial a segment and one `stats` wait at most, a newer one replaces it; everything else queues
up to `LIMIT` messages, and beyond that the reader counts as gone (`overflowed`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import msgspec
from cohear_client.protocol import Final, Partial, ServerMessage, Stats

from .observer import UNOBSERVED, StreamObserver
from .timing import JobTrace, timing

LIMIT = 256
"""Over 20 minutes of finals of continuous speech."""


@dataclass(frozen=True, slots=True)
class _Entry:
    message: ServerMessage
    trace: JobTrace | None
    origin_s: float
    emitted_s: float
    again: bool


class Outbox:
    def __init__(self, observer: StreamObserver = UNOBSERVED) -> None:
        self._observer = observer
        self.overflowed = False
        self.coalesced = 0
        """partials that were replaced before they could be sent"""
        self._entries: deque[_Entry] = deque()
        self._changed = asyncio.Event()
        self.closed = asyncio.Event()
        """nothing more will be read from here"""

    @property
    def empty(self) -> bool:
        return not self._entries

    def put(
        self,
        message: ServerMessage,
        now_s: float,
        trace: JobTrace | None = None,
        origin_s: float = 0.0,
        *,
        again: bool = False,
    ) -> None:
        """Queue a message that was emitted at `now_s`; `again` if an earlier connection may have had it."""
        self._drop_outdated(message)
        if len(self._entries) >= LIMIT:
            self.overflowed = True
            self.close()
            return
        self._entries.append(_Entry(message, trace, origin_s, now_s, again))
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
            message = msgspec.structs.replace(
                message, timing=timing(entry.trace, entry.origin_s, entry.emitted_s, now_s)
            )
            if not entry.again:
                self._observer.sent(message, now_s - entry.emitted_s)
        return message

    def _drop_outdated(self, newer: ServerMessage) -> None:
        for entry in self._entries:
            if _replaces(newer, entry.message):
                self._entries.remove(entry)
                if isinstance(entry.message, Partial):
                    self.coalesced += 1
                    self._observer.replaced()
                return


def _replaces(newer: ServerMessage, older: ServerMessage) -> bool:
    """A waiting message that the newer one makes pointless to send."""
    if isinstance(older, Partial):
        same = isinstance(newer, Partial) and newer.segment_id == older.segment_id
        return same or (isinstance(newer, Final) and newer.segment_id >= older.segment_id)
    return isinstance(older, Stats) and isinstance(newer, Stats)
