"""Who may have the event loop when audio comes faster than it was spoken: live streams first.

A stream that keeps to its own clock never waits. Those that are ahead of it (files, a replay after a lost connection)
take turns, a slice at a time, and together leave the loop to the others for as long as they had it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

AHEAD_S = 2.0
"""Audio that may come early: networks deliver in bursts, and a stream does not begin at the moment it connects."""


class Turns:
    """One for all streams of a loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._one = asyncio.Lock()
        """first come, first served"""

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        async with self._one:
            begun_s = self.clock()
            yield
            await asyncio.sleep(self.clock() - begun_s)


class Pace:
    """One stream's: how far it is ahead of its clock."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._ahead_s = 0.0
        self._seen_s = turns.clock()

    @contextlib.asynccontextmanager
    async def taking(self, audio_s: float) -> AsyncIterator[None]:
        """Around the work for so much audio; waits for a turn where it comes early."""
        now_s = self._turns.clock()
        self._ahead_s = max(0.0, self._ahead_s - (now_s - self._seen_s)) + audio_s
        self._seen_s = now_s
        if self._ahead_s <= AHEAD_S:
            yield
            return
        async with self._turns.turn():
            yield
