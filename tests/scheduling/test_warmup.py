"""Measuring a backend before the first client."""

from __future__ import annotations

import pytest
from cohear_server.scheduling.costs import Costs
from cohear_server.scheduling.warmup import ENOUGH_S, LONGEST_S, measure
from cohear_testing.fake import FAKE_MODEL, FakeBackend, FakeOptions, ServiceTime
from cohear_testing.simclock import SimClock


def measured(service: ServiceTime, slots: int = 1) -> tuple[Costs, FakeBackend, float]:
    """The costs, the backend, and how long it took."""
    clock = SimClock()
    backend = FakeBackend(FakeOptions(slots=slots, service=service))

    async def run() -> Costs:
        await backend.start()
        return await measure(backend, FAKE_MODEL, clock)

    return clock.run(run()), backend, clock()


@pytest.mark.parametrize("slots", [1, 2])
def test_the_cost_of_batches_is_found(slots: int) -> None:
    service = ServiceTime(fixed_ms=10, per_job_ms=2, per_window_s_ms=3)
    costs, backend, took_s = measured(service, slots)
    for size in (1, 2, 8):
        assert costs.seconds(size, 2.0) == pytest.approx((10 + size * 8) / 1000, rel=0.1)
    assert took_s < 1.5
    assert len({len(batch) for batch in backend.batches}) >= 4


def test_a_slow_model_keeps_nobody_waiting() -> None:
    _, backend, took_s = measured(ServiceTime(per_job_ms=200, per_window_s_ms=50))
    assert {len(batch) for batch in backend.batches} == {1, 2}, "two sizes make a curve"
    assert len(backend.batches) == 3
    assert took_s == pytest.approx(0.5 + 0.3 + 0.6)


def test_of_a_very_slow_one_a_single_window_is_enough() -> None:
    costs, backend, took_s = measured(ServiceTime(per_job_ms=4_000))
    assert len(backend.batches) == 1
    assert took_s == pytest.approx(4)
    assert costs.seconds(1, 6.0) == pytest.approx(4, rel=0.1)
    assert costs.seconds(3, 6.0) == pytest.approx(12, rel=0.1)


def test_an_engine_that_does_not_answer_holds_up_no_start() -> None:
    costs, _, took_s = measured(ServiceTime(fixed_ms=3_600_000))
    assert took_s == pytest.approx(LONGEST_S)
    assert costs.seconds(1, 6.0) == pytest.approx(LONGEST_S, rel=0.1)


def test_a_quick_one_is_measured_up_to_large_batches() -> None:
    _, backend, took_s = measured(ServiceTime(fixed_ms=20))
    assert max(len(batch) for batch in backend.batches) == 64
    assert took_s < 1


def test_a_disturbed_try_does_not_count() -> None:
    service = ServiceTime(fixed_ms=20)
    clock, disturbed = SimClock(), iter([True, False] * 20)

    class Disturbed(FakeBackend):
        async def decode(self, batch):  # type: ignore[no-untyped-def]
            self.options.service = ServiceTime(fixed_ms=100 if next(disturbed) else 20)
            return await super().decode(batch)

    backend = Disturbed(FakeOptions(service=service))

    async def run() -> Costs:
        await backend.start()
        return await measure(backend, FAKE_MODEL, clock)

    assert clock.run(run()).seconds(8, 2.0) == pytest.approx(0.02, rel=0.05)
    assert ENOUGH_S > 0.1
