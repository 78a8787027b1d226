"""The loop sleeps while streams are many, and a thread that posts to it ends the sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from cohear_server import pulse as module
from cohear_server.pulse import PulsedLoop, pulse

FOREVER_S = 60.0


class Sleeps:
    """In place of the loop's own `rest`: how long each sleep might have been, and what was seen when it began."""

    def __init__(self, loop: PulsedLoop, enough: int, look: Callable[[], int] = lambda: 0) -> None:
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


def run(streams: Callable[[], int], then: Callable[[PulsedLoop], Any]) -> None:
    async def both() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, PulsedLoop)
        beat = asyncio.create_task(pulse(streams))
        try:
            async with asyncio.timeout(FOREVER_S / 2):
                await then(loop)
        finally:
            beat.cancel()

    with asyncio.Runner(loop_factory=PulsedLoop) as runner:
        runner.run(both())


@pytest.mark.parametrize(("streams", "sleep_s"), [(8, 0.008), (12, 0.012), (20, 0.02), (500, 0.02)])
def test_the_sleep_follows_the_number_of_streams(streams: int, sleep_s: float) -> None:
    async def then(loop: PulsedLoop) -> None:
        sleeps = Sleeps(loop, 3)
        await sleeps.full.wait()
        assert sleeps.asked == pytest.approx([sleep_s] * 3)

    run(lambda: streams, then)


def test_a_few_streams_are_served_without_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.0)
    asked = asyncio.Semaphore(0)

    def streams() -> int:
        asked.release()
        return 7

    async def then(loop: PulsedLoop) -> None:
        sleeps = Sleeps(loop, 1)
        for _ in range(5):
            await asked.acquire()
        assert not sleeps.asked

    run(streams, then)


def test_a_thread_that_posts_ends_the_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_S", FOREVER_S)
    monkeypatch.setattr(module, "STREAM_S", FOREVER_S)

    async def then(loop: PulsedLoop) -> None:
        for _ in range(3):
            assert await asyncio.to_thread(lambda: "done") == "done"

    run(lambda: 1, then)


def test_a_chain_of_callbacks_is_run_before_the_next_sleep() -> None:
    """A frame's way from socket to session is one."""
    steps: list[int] = []

    async def then(loop: PulsedLoop) -> None:
        sleeps = Sleeps(loop, 2, lambda: len(steps))

        def step(left: int) -> None:
            steps.append(left)
            if left:
                loop.call_soon(step, left - 1)

        loop.call_soon(step, 3)
        await sleeps.full.wait()
        assert sleeps.seen == [4, 4]

    run(lambda: 20, then)
