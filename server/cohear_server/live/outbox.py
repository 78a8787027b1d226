"""Events on their way to one client. A slow reader gets fewer partials, never fewer finals.

Bounded: at most one partial of a segment and one `stats` wait, and a newer one replaces it. Everything else queues up
to `LIMIT` events; beyond that the reader counts as gone (`overflowed`). Events that are sent again after a lost
connection come first, as fast as the client reads, and do not count: the stream's log bounds them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from ..core.events import Decoded, Event, Final, Partial, Stats
from .log import Emitted
from .observer import UNOBSERVED, StreamObserver
from .timing import Stages, stages

LIMIT = 256
"""enough for over 20 minutes of finals of continuous speech"""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event that goes to the socket now, and the latency of each stage; None if it was not decoded."""

    event: Event
    stages: Stages | None = None


class Outbox:
    def __init__(self, observer: StreamObserver = UNOBSERVED, again: Iterable[Emitted] = ()) -> None:
        """`again`: events that an earlier connection may not have delivered."""
        self._observer = observer
        self.overflowed = False
        self.coalesced = 0
        """partials that were replaced before they could be sent"""
        self._again = deque(again)
        self._entries: deque[Emitted] = deque()
        self._ending = False
        self._changed = asyncio.Event()
        self.closed = asyncio.Event()
        """set when nothing more will be read"""

    @property
    def empty(self) -> bool:
        return not self._again and not self._entries

    def put(self, emitted: Emitted) -> None:
        """Queue an event; none after the close or the end."""
        if self.closed.is_set() or self._ending:
            return
        self._drop_outdated(emitted.event)
        if len(self._entries) >= LIMIT:
            self.overflowed = True
            self.close()
            return
        self._entries.append(emitted)
        self._changed.set()

    def close(self) -> None:
        """Nobody reads any more: drop what waits."""
        self.closed.set()
        self._changed.set()

    def end(self) -> None:
        """No more events come; those that wait are still read."""
        self._ending = True
        self._changed.set()

    async def wait(self) -> bool:
        """Until an event waits (True), or the outbox is closed or at its end (False)."""
        while not self.closed.is_set() and self.empty and not self._ending:
            self._changed.clear()
            await self._changed.wait()
        return not self.closed.is_set() and not self.empty

    def take(self, now_s: float) -> Outgoing:
        """The oldest event; its latency ends now, as it goes to the socket."""
        again = bool(self._again)
        emitted = (self._again or self._entries).popleft()
        if emitted.trace is None or not isinstance(emitted.event, Decoded):
            return Outgoing(emitted.event)
        if not again:
            self._observer.sent(emitted.event, now_s - emitted.at_s)
        return Outgoing(emitted.event, stages(emitted.trace, emitted.origin_s, emitted.at_s, now_s))

    def _drop_outdated(self, newer: Event) -> None:
        for entry in self._entries:
            if _replaces(newer, entry.event):
                self._entries.remove(entry)
                if isinstance(entry.event, Partial):
                    self.coalesced += 1
                    self._observer.replaced()
                return


def _replaces(newer: Event, older: Event) -> bool:
    """Whether the newer event makes the waiting one needless."""
    if isinstance(older, Partial):
        same = isinstance(newer, Partial) and newer.segment_id == older.segment_id
        return same or (isinstance(newer, Final) and newer.segment_id >= older.segment_id)
    return isinstance(older, Stats) and isinstance(newer, Stats)
