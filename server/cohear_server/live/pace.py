"""Shares the event loop when audio comes faster than real time: live streams go first.

A stream in real time never waits. Streams that are ahead of it (files, a replay after a lost connection) take turns,
one slice at a time. After each slice they leave the loop to the others for as long as they used it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

AHEAD_S = 2.0
"""Audio that may come early without waiting: networks deliver in bursts."""


AT_ONCE = contextlib.nullcontext()
"""for live audio: made once, as a frame comes each 20 ms"""


class Turns:
    """The turns of all streams of one event loop."""

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
    """How far one stream is ahead of real time."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._ahead_s = 0.0
        self._seen_s = turns.clock()

    def taking(self, audio_s: float) -> contextlib.AbstractAsyncContextManager[None]:
        """Wrap the work for so much audio; it waits for a turn if the audio is early."""
        now_s = self._turns.clock()
        self._ahead_s = max(0.0, self._ahead_s - (now_s - self._seen_s)) + audio_s
        self._seen_s = now_s
        return AT_ONCE if self._ahead_s <= AHEAD_S else self._turns.turn()
