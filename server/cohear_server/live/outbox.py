"""Events on their way to one client. A slow reader gets fewer partials, never fewer finals.

Bounded: one partial a segment and one `stats` wait at most, a newer one replaces it; everything else queues
up to `LIMIT` messages, and beyond that the reader counts as gone (`overflowed`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from ..core.events import Decoded, Event, Final, Partial, Stats
from .observer import UNOBSERVED, StreamObserver
from .timing import JobTrace, Stages, stages

LIMIT = 256
"""Over 20 minutes of finals of continuous speech."""


@dataclass(frozen=True, slots=True)
class _Entry:
    event: Event
    trace: JobTrace | None
    origin_s: float
    emitted_s: float
    again: bool


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event that goes to the socket now, and where its latency went; None for what was not decoded."""

    event: Event
    stages: Stages | None = None


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
        event: Event,
        now_s: float,
        trace: JobTrace | None = None,
        origin_s: float = 0.0,
        *,
        again: bool = False,
    ) -> None:
        """Queue an event that was emitted at `now_s`; `again` if an earlier connection may have had it."""
        self._drop_outdated(event)
        if len(self._entries) >= LIMIT:
            self.overflowed = True
            self.close()
            return
        self._entries.append(_Entry(event, trace, origin_s, now_s, again))
        self._changed.set()

    def close(self) -> None:
        """Nothing more will be read: a waiting `get` returns None."""
        self.closed.set()
        self._changed.set()

    async def wait(self) -> bool:
        """Until an event waits (True) or the outbox is closed (False)."""
        while not self.closed.is_set() and not self._entries:
            self._changed.clear()
            await self._changed.wait()
        return not self.closed.is_set()

    def take(self, now_s: float) -> Outgoing:
        """The oldest event; its latency ends now, as it goes to the socket."""
        entry = self._entries.popleft()
        if entry.trace is None or not isinstance(entry.event, Decoded):
            return Outgoing(entry.event)
        if not entry.again:
            self._observer.sent(entry.event, now_s - entry.emitted_s)
        return Outgoing(entry.event, stages(entry.trace, entry.origin_s, entry.emitted_s, now_s))

    def _drop_outdated(self, newer: Event) -> None:
        for entry in self._entries:
            if _replaces(newer, entry.event):
                self._entries.remove(entry)
                if isinstance(entry.event, Partial):
                    self.coalesced += 1
                    self._observer.replaced()
                return


def _replaces(newer: Event, older: Event) -> bool:
    """A waiting event that the newer one makes pointless to send."""
    if isinstance(older, Partial):
        same = isinstance(newer, Partial) and newer.segment_id == older.segment_id
        return same or (isinstance(newer, Final) and newer.segment_id >= older.segment_id)
    return isinstance(older, Stats) and isinstance(newer, Stats)
