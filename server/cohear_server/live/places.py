"""The places of a server: which streams hold one, which of them lost their client, and how many each caller may hold.
It ends no stream itself; the service does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from .caller import Caller
from .stream import Stream


@dataclass(frozen=True, slots=True)
class PlaceLimits:
    streams: int = 200
    per_key: int = 0
    """most streams of one key; 0: no limit"""
    per_address: int = 0
    """most streams from one address; 0: no limit"""


class Places:
    def __init__(self, limits: PlaceLimits) -> None:
        self.limits = limits
        self.streams: dict[str, Stream] = {}
        self.vacant = asyncio.Event()
        """set while there are no streams"""
        self.vacant.set()
        self._lost: dict[str, asyncio.TimerHandle] = {}
        """streams without a client, with the timer that ends them; the longest without one is first"""

    def take(self, stream: Stream) -> None:
        self.streams[stream.session.id] = stream
        self.vacant.clear()

    def leave(self, stream: Stream) -> bool:
        """Free the place of a stream. False if it had none."""
        self.regain(stream)
        had = self.streams.pop(stream.session.id, None) is not None
        if not self.streams:
            self.vacant.set()
        return had

    def lose(self, stream: Stream, after_s: float, end: Callable[[Stream], None]) -> None:
        """The client of a stream is gone; `end` is called unless it comes back in time."""
        self.regain(stream)
        self._lost[stream.session.id] = asyncio.get_running_loop().call_later(after_s, end, stream)

    def regain(self, stream: Stream) -> None:
        """The client of a stream is back."""
        timer = self._lost.pop(stream.session.id, None)
        if timer is not None:
            timer.cancel()

    def is_lost(self, stream: Stream) -> bool:
        return stream.session.id in self._lost

    def lost(self) -> list[Stream]:
        """Streams without a client: first those that never had audio, then by the time since they lost it."""
        streams = [self.streams[session_id] for session_id in self._lost]
        return sorted(streams, key=lambda stream: stream.session.samples().received > 0)

    def full(self) -> bool:
        return len(self.streams) >= self.limits.streams

    def full_for(self, caller: Caller) -> bool:
        """Whether the caller's key or address holds as many places as it may."""
        held = [stream.caller for stream in self.streams.values()]
        of_key = sum(bool(caller.key_id) and one.key_id == caller.key_id for one in held)
        from_address = sum(bool(caller.address) and one.address == caller.address for one in held)
        return 0 < self.limits.per_key <= of_key or 0 < self.limits.per_address <= from_address
