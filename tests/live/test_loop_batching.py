"""The loop sleeps while the engine is busy, and a thread that posts to it ends the sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from cohear_server.live import loop_batching as module
from cohear_server.live.loop_batching import BatchingLoop, batch_loop

FOREVER_S = 60.0


class Sleeps:
    """In place of the loop's own `rest`: how long each sleep might have been, and what was seen when it began."""

    def __init__(self, loop: BatchingLoop, enough: int, look: Callable[[], int] = lambda: 0) -> None:
        self.asked: list[float] = []
        self.seen: list[int] = []
        self._enough = enough
        self._look = look
        self.full = asyncio.Event()
        loop.rest = self._rest  # type: ignore[method-assign]

    def _rest(self, longest_s: float) -> None:
        self.asked.append(longest_s)
        self.seen.append(self._look())
        if len(self.asked) >= self._enough:
            self.full.set()


def run(demand: Callable[[], float], then: Callable[[BatchingLoop], Any]) -> None:
    async def both() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, BatchingLoop)
        beat = asyncio.create_task(batch_loop(demand, lambda: 0.04))
        try:
            async with asyncio.timeout(FOREVER_S / 2):
                await then(loop)
        finally:
            beat.cancel()

    with asyncio.Runner(loop_factory=BatchingLoop) as runner:
        runner.run(both())


@pytest.mark.parametrize(("demand", "sleep_s"), [(0.5, 0.01), (0.8, 0.0256), (1.0, 0.04), (3.0, 0.04)])
def test_the_sleep_follows_what_is_asked_of_the_engine(demand: float, sleep_s: float) -> None:
    async def then(loop: BatchingLoop) -> None:
        sleeps = Sleeps(loop, 3)
        await sleeps.full.wait()
        assert sleeps.asked == pytest.approx([sleep_s] * 3)

    run(lambda: demand, then)


def test_there_is_no_sleep_while_the_engine_is_mostly_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.0)
    asked = asyncio.Semaphore(0)

    def demand() -> float:
        asked.release()
        return 0.3

    async def then(loop: BatchingLoop) -> None:
        sleeps = Sleeps(loop, 1)
        for _ in range(5):
            await asked.acquire()
        assert not sleeps.asked

    run(demand, then)


def test_a_thread_that_posts_ends_the_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_S", FOREVER_S)

    async def then(loop: BatchingLoop) -> None:
        for _ in range(3):
            assert await asyncio.to_thread(lambda: "done") == "done"

    run(lambda: 1.0, then)


def test_a_chain_of_callbacks_is_run_before_the_next_sleep() -> None:
    """A frame's way from socket to session is one."""
    steps: list[int] = []

    async def then(loop: BatchingLoop) -> None:
        sleeps = Sleeps(loop, 2, lambda: len(steps))

        def step(left: int) -> None:
            steps.append(left)
            if left:
                loop.call_soon(step, left - 1)

        loop.call_soon(step, 3)
        await sleeps.full.wait()
        assert sleeps.seen == [4, 4]

    run(lambda: 1.0, then)


@pytest.mark.parametrize(("longest_s", "sleep_s"), [(0.02, 0.02), (9.0, module.LONGEST_S)])
def test_the_sleep_follows_what_a_batch_takes_and_is_never_noticed(longest_s: float, sleep_s: float) -> None:
    async def then(loop: BatchingLoop) -> None:
        sleeps = Sleeps(loop, 3)
        beat = asyncio.create_task(batch_loop(lambda: 1.0, lambda: longest_s))
        await sleeps.full.wait()
        beat.cancel()
        assert sleeps.asked == pytest.approx([sleep_s] * 3)

    run(lambda: 0.0, then)
