from __future__ import annotations

import asyncio

import pytest
from cohear_testing.simclock import SimClock


def test_sleeping_takes_no_time_and_moves_the_clock() -> None:
    clock = SimClock()

    async def scenario() -> list[float]:
        woken: list[float] = []

        async def sleeper(seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append(clock())

        await asyncio.gather(sleeper(3600), sleeper(0.5), sleeper(60))
        return woken

    assert clock.run(scenario()) == [0.5, 60, 3600]


def test_timeouts_keep_to_it() -> None:
    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await asyncio.sleep(11)

    clock = SimClock()
    clock.run(scenario())
    assert clock() == 10


def test_waiting_for_ever_is_an_error() -> None:
    async def scenario() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="stands still"):
        SimClock().run(scenario())
