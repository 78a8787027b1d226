"""The events of one stream that wait for their reader, in one bounded queue.

It knows no sockets. A slow reader loses no final and never stops the sender: of partials and stats only the newest
waits, and all other events are kept, up to `limit`. A reader that is further behind gets an error, not a silent gap.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from .errors import ClientError, CohearError
from .protocol import Partial, ServerMessage, Stats

LIMIT = 4096
"""Events that may wait unread: with finals of some seconds each, hours of speech."""


class Inbox:
    """One writer, one reader, on one event loop."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        # bounded by `limit`; coalesced kinds go under their class, all others under a running number
        self._waiting: OrderedDict[object, ServerMessage] = OrderedDict()
        self._count = 0
        self._closed = False
        self._fault: CohearError | None = None
        self._changed = asyncio.Event()

    def put(self, event: ServerMessage) -> None:
        """Add an event. Raises ClientError (`slow_reader`) when `limit` events wait."""
        self._count += 1
        key: object = type(event) if isinstance(event, Partial | Stats) else self._count
        # a newer partial goes to the end, so that events stay in the order of arrival
        self._waiting.pop(key, None)
        if len(self._waiting) >= self._limit:
            raise ClientError(
                "slow_reader", f"{self._limit} events wait unread", "read the stream's events while sending"
            )
        self._waiting[key] = event
        self._changed.set()

    def close(self, fault: CohearError | None = None) -> None:
        """No more events: the reader gets those that wait, then the end (or `fault`)."""
        self._closed = True
        self._fault = fault
        self._changed.set()

    async def get(self) -> ServerMessage | None:
        """The next event, or None at the end. Raises the fault that the inbox was closed with."""
        while not self._waiting:
            if self._fault is not None:
                raise self._fault
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popitem(last=False)[1]
