"""The event loop's pulse: on a busy server, what comes within a few milliseconds is taken up at once.

    loop:  | frames, frames, frames |  asleep, up to 40 ms  | frames, frames, results | ...
                                       a result of the engine ends the sleep

While decoders keep every core busy, each wake-up of the loop finds its code and data gone from the cache. Taking up
what came in 40 ms in one go costs the loop two fifths less, and the engine decodes a tenth more beside it (measured: 22
streams on 2 cores), which shortens the streams' lag by more than the sleep. An idle engine has nothing to gain: the
sleep grows with what is asked of it.

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

LONGEST_S = 0.04
"""of a sleep, when all of the engine is asked for; at half of it a quarter"""
SHORTEST_S = 0.005
"""where it would be shorter there is none, and what is asked for is looked up each `IDLE_S`"""
IDLE_S = 0.25
ROUNDS = 6
"""of the loop between two sleeps: a frame passes from the socket to its session in four"""


class PulsedLoop(Loop):
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


async def pulse(demand: Callable[[], float]) -> None:
    """Give the running PulsedLoop a pulse that follows the share of the engine that is asked for, until cancelled."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, PulsedLoop)
    while True:
        sleep_s = LONGEST_S * min(1.0, demand()) ** 2
        if sleep_s < SHORTEST_S:
            await asyncio.sleep(IDLE_S)
            continue
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        loop.rest(sleep_s)
