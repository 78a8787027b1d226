"""Simulated time: an event loop on which sleeping takes no real time.

Whenever nothing is ready to run, the clock jumps to the next timer. `asyncio.sleep`, `asyncio.timeout` and
`loop.call_later` all use it, so minutes of a dispatcher's work pass in milliseconds, and always in the same order. For
tests and simulations; not for code that does I/O or uses threads, because their time is real.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SimClock:
    """Call it for the time in seconds, which begins at 0.

    clock = SimClock()
    clock.run(scenario(clock))      # asyncio.run, on this clock
    """

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` to its end, as `asyncio.run` does. Raises RuntimeError if everything waits and no timer is set."""
        with asyncio.Runner(loop_factory=lambda: _SimLoop(self)) as runner:
            return runner.run(main)


class _SimLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: SimClock) -> None:
        self._sim_clock = clock
        super().__init__(_SimSelector(clock))

    def time(self) -> float:
        return self._sim_clock.now_s


class _SimSelector(selectors.SelectSelector):
    """The loop asks it to wait until the next timer only when nothing is ready; time jumps then."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("simulated time stands still: every task waits, and no timer is set")
        if not ready and timeout is not None:
            self._clock.now_s += max(0.0, timeout)
        return ready
