"""Loop batching: on a busy server the event loop takes up what came within a few milliseconds in one go.

    loop:  | frames, frames, frames |  asleep, a few ms  | frames, frames, results | ...
                                       a result of the engine ends the sleep

While decoders keep every core busy, each wake-up of the loop finds its code and data gone from the cache. Fewer
wake-ups cost the loop less, and the engine decodes more beside it, which shortens the streams' lag by more than the
sleep. An idle engine has nothing to gain, nor has one that leaves the cores to the loop, as a GPU does: the sleep grows
with what is asked of the engine, up to a share of the time of a batch.

The sleep blocks the loop's thread on purpose; it holds no lock of the interpreter.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

try:
    from uvloop import Loop
except ModuleNotFoundError:  # not on Windows
    from asyncio import SelectorEventLoop as Loop  # type: ignore[assignment]

Args = TypeVarTuple("Args")

LONGEST_S = 0.05
"""however long a batch takes: what comes this much later nobody notices"""
SHORTEST_S = 0.005
"""where it would be shorter there is none, and what is asked for is looked up each `IDLE_S`"""
IDLE_S = 0.25
ROUNDS = 6
"""of the loop between two sleeps: a frame passes from the socket to its session in four"""


class BatchingLoop(Loop):
    """uvloop's, with which a live stream takes a sixth less of the loop; its thread may be woken from a sleep."""

    def __init__(self) -> None:
        super().__init__()
        self._bell = threading.Lock()
        self._bell.acquire()

    def call_soon_threadsafe(
        self, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> asyncio.Handle:
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        with contextlib.suppress(RuntimeError):  # it rings already
            self._bell.release()
        return handle

    def rest(self, longest_s: float) -> None:
        """Sleep until something is posted from a thread, or was since the last rest."""
        self._bell.acquire(timeout=longest_s)


async def batch_loop(demand: Callable[[], float], longest_s: Callable[[], float]) -> None:
    """Let the running BatchingLoop sleep between its rounds, until cancelled: for `longest_s` when all of the engine is
    asked for (`demand` 1), at half of it for a quarter."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, BatchingLoop)
    while True:
        sleep_s = min(LONGEST_S, longest_s()) * min(1.0, demand()) ** 2
        if sleep_s < SHORTEST_S:
            await asyncio.sleep(IDLE_S)
            continue
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        loop.rest(sleep_s)
