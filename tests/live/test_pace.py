"""Live streams go first: audio that comes faster than it was spoken takes turns, on a simulated clock."""

from __future__ import annotations

import asyncio

from cohear_server.live.pace import AHEAD_S, Pace, Turns
from cohear_testing.simclock import SimClock

WORK_S = 0.01


async def send(pace: Pace, clock: SimClock, slices: int, each_s: float, took: list[float]) -> None:
    """Slices of a second, one each `each_s`; notes how long each waited."""
    for _ in range(slices):
        asked_s = clock()
        async with pace.taking(1.0):
            took.append(clock() - asked_s)
            clock.now_s += WORK_S  # as work does, it lets nobody else run
        await asyncio.sleep(each_s)


def test_a_live_stream_never_waits_and_fast_ones_have_half_of_the_loop() -> None:
    clock = SimClock()

    async def scenario() -> tuple[list[float], float]:
        turns = Turns(clock)
        live: list[float] = []
        begun_s = clock()
        fast = [send(Pace(turns), clock, 100, 0.0, []) for _ in range(8)]
        async with asyncio.TaskGroup() as group:
            ended = [group.create_task(one) for one in fast]
            speaking = group.create_task(send(Pace(turns), clock, 30, 1.0, live))
            await asyncio.wait(ended)
            took_s = clock() - begun_s
            await speaking
        return live, took_s

    live, took_s = clock.run(scenario())
    assert max(live) == 0.0
    assert took_s >= 2 * (800 - 8 * (AHEAD_S + 1)) * WORK_S


def test_what_was_not_said_is_credit_of_a_little() -> None:
    clock = SimClock()

    async def scenario() -> list[float]:
        turns, waits = Turns(clock), list[float]()
        first, second = Pace(turns), Pace(turns)
        clock.now_s += 3_600.0
        async with asyncio.TaskGroup() as group:
            group.create_task(send(first, clock, 100, 0.0, []))
            group.create_task(send(second, clock, 100, 0.0, waits))
        return waits

    assert sum(wait == 0.0 for wait in clock.run(scenario())) <= AHEAD_S + 1


def test_turns_are_taken_in_order() -> None:
    clock = SimClock()

    async def scenario() -> list[int]:
        turns, order = Turns(clock), list[int]()

        async def one(name: int) -> None:
            pace = Pace(turns)
            for _ in range(6):
                async with pace.taking(5.0):
                    order.append(name)
                    clock.now_s += WORK_S

        await asyncio.gather(*(one(name) for name in range(3)))
        return order

    assert clock.run(scenario()) == [0, 1, 2] * 6
