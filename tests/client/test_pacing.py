from __future__ import annotations

import numpy as np
import pytest
from cohear_client.pacing import Clock, paced
from cohear_client.protocol import Start


class Time:
    """A clock that goes on only by sleeping; every sleep oversleeps by `late_s`."""

    def __init__(self, late_s: float = 0.0) -> None:
        self.now_s = 100.0
        self.late_s = late_s
        self.clock = Clock(lambda: self.now_s, self.sleep)

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now_s += seconds + (self.late_s if seconds else 0)


BLOCKS = [np.zeros(320, np.int16)] * 100


@pytest.mark.parametrize("speed", [0.5, 1.0, 4.0])
async def test_lateness_does_not_add_up(speed: float) -> None:
    time = Time(late_s=0.003)
    sent = [time.now_s - 100.0 async for _ in paced(BLOCKS, Start(), speed, time.clock)]
    for number, sent_s in enumerate(sent, 1):
        assert sent_s == pytest.approx(number * 0.02 / speed, abs=0.0031)


async def test_a_slow_sender_is_caught_up_with_at_once() -> None:
    time = Time()
    sent = []
    async for _ in paced(BLOCKS, Start(), 1.0, time.clock):
        sent.append(time.now_s - 100.0)
        if len(sent) == 10:
            time.now_s += 0.5
    assert sent[10] == sent[30] == pytest.approx(0.7)
    assert sent[-1] == pytest.approx(2.0)


async def test_speed_zero_waits_for_nothing() -> None:
    time = Time()
    assert len([b async for b in paced(BLOCKS, Start(), 0, time.clock)]) == 100
    assert time.now_s == 100.0


async def test_asynchronous_blocks_of_bytes() -> None:
    time = Time()
    source = paced([bytes(640)] * 5, Start(), 0, time.clock)
    assert [len(b) async for b in paced(source, Start(), 1.0, time.clock)] == [640] * 5
    assert time.now_s == pytest.approx(100.1)
