"""What only the fake backend does; what every backend does is in tests/contract."""

from __future__ import annotations

import asyncio

import pytest
from cohear_server.core.jobs import DecodeResult
from cohear_server.errors import BackendUnavailable
from cohear_testing.fake import FakeBackend, FakeOptions, ServiceTime
from cohear_testing.simclock import SimClock

from ..engine.jobs import make_job, noise


def test_batches_take_their_service_time_and_wait_for_a_slot() -> None:
    clock = SimClock()
    service = ServiceTime(fixed_ms=10, per_job_ms=5, per_window_s_ms=20, factor=2)
    batch = [make_job(noise(1)), make_job(noise(2))]

    async def scenario() -> tuple[list[DecodeResult], list[DecodeResult]]:
        backend = FakeBackend(FakeOptions(slots=1, service=service))
        await backend.start()
        return await asyncio.gather(backend.decode(batch), backend.decode(batch[:1]))

    first, second = clock.run(scenario())
    assert first[0].decode_ms == 2 * (10 + 2 * 5 + 3 * 20)
    assert (first[0].wait_ms, second[0].wait_ms) == (0, first[0].decode_ms)
    assert clock() == pytest.approx((first[0].decode_ms + second[0].decode_ms) / 1000)


async def test_the_script_is_heard() -> None:
    backend = FakeBackend(FakeOptions(script=lambda pcm: ["hello", "world"]))
    await backend.start()
    (result,) = await backend.decode([make_job(noise(1))])
    assert result.text == "hello world"
    assert [(word.start_samples, word.end_samples) for word in result.words] == [(0, 8_000), (8_000, 16_000)]


async def test_it_can_become_unavailable_and_come_back() -> None:
    backend = FakeBackend()
    await backend.start()
    backend.options.unavailable = True
    with pytest.raises(BackendUnavailable):
        await backend.decode([make_job(noise(1))])
    backend.options.unavailable = False
    assert await backend.decode([make_job(noise(1))])
