"""Loop batching: on a busy server the event loop handles together what arrived within a few milliseconds.

    loop:  | frames, frames, frames |  asleep, a few ms  | frames, frames, results | ...
                                       a result of the engine ends the sleep

While decoders keep every core busy, the loop's code and data are no longer in the cache when it wakes up. With fewer
wake-ups the loop costs less and the engine decodes more, which shortens the streams' lag by more than the sleep. An
idle engine gains nothing, nor does one that leaves the cores to the loop, such as a GPU. The sleep grows with the
demand on the engine, up to a share of the time of a batch.

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
"""longest sleep, however long a batch takes: nobody notices a delay of this size"""
SHORTEST_S = 0.005
"""a shorter sleep is left out, and the demand is then looked up each `IDLE_S`"""
IDLE_S = 0.25
ROUNDS = 6
"""rounds of the loop between two sleeps: a frame needs four to pass from the socket to its session"""


class BatchingLoop(Loop):
    """uvloop's loop, where it is installed; its thread can be woken from a sleep."""

    def __init__(self) -> None:
        super().__init__()
        self._bell = threading.Lock()
        self._bell.acquire()

    def call_soon_threadsafe(
        self, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> asyncio.Handle:
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        with contextlib.suppress(RuntimeError):  # the bell rings already
            self._bell.release()
        return handle

    def rest(self, longest_s: float) -> None:
        """Sleep until a thread posts something, or has posted since the last rest."""
        self._bell.acquire(timeout=longest_s)


async def batch_loop(demand: Callable[[], float], longest_s: Callable[[], float]) -> None:
    """Let the running BatchingLoop sleep between its rounds, until cancelled: `longest_s` when the demand is the whole
    engine (`demand` 1), a quarter of it at half the demand."""
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
