"""Windows of files beside those of streams: what they are given, and what they never take."""

from __future__ import annotations

import numpy as np
import pytest
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, JobKind
from cohear_server.scheduling.batching import batch_key
from cohear_server.scheduling.bulk import ALONE_S, LIVE_S, BulkLane, BulkOptions
from cohear_server.scheduling.costs import CostBook, Costs, Measured
from cohear_server.scheduling.scheduler import Scheduler, SchedulerOptions
from hypothesis import given
from hypothesis import strategies as st

from .test_scheduler import BULK, FINAL, costing, job
from .test_scheduler import scheduler as by_hand

COST_S = 0.01
"""of a second of a window"""


def scheduler(slots: int = 2) -> Scheduler:
    return Scheduler(SchedulerOptions(), costing(COST_S), slots=slots)


def test_files_wait_for_partials_and_finals() -> None:
    queue = scheduler()
    file = job("f", BULK)
    live = [job("a"), job("b", FINAL, deadline_s=9.0)]
    for one in (file, *live):
        queue.submit(one, 0.0)
    taken = [queue.next_batch(0.0)[0] for _ in range(3)]
    assert taken == [live[0], live[1], file]


def test_partials_that_wait_for_company_are_not_passed_by() -> None:
    queue = Scheduler(SchedulerOptions(), costing(COST_S), slots=4)
    queue.submit(job("f", BULK), 0.0)
    queue.submit(job("a", deadline_s=9.0), 0.0)
    taken = queue.next_batch(0.0, busy=1)
    assert all(one.kind is not BULK for one in taken)


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_while_somebody_streams_one_slot_stays_free_of_files(slots: int) -> None:
    queue = scheduler(slots)
    queue.submit(job("a"), 0.0)
    queue.finished(queue.next_batch(0.0))
    for n in range(50):
        queue.submit(job(f"f{n}", BULK, seconds=20.0), 0.0)
    busy = [batch for _ in range(slots) if (batch := queue.next_batch(1.0))]
    assert len(busy) == max(1, slots - 1)
    idle = [batch for _ in range(slots) if (batch := queue.next_batch(LIVE_S + 0.1))]
    assert len(busy) + len(idle) == slots
    queue.finished(busy[0])
    assert len(queue.next_batch(LIVE_S + 0.2)) > 0


def test_batches_of_files_are_short_and_shorter_while_somebody_streams() -> None:
    sizes = []
    for now_s in (0.1, LIVE_S + 0.1):
        queue = scheduler()
        queue.submit(job("a"), 0.0)
        queue.finished(queue.next_batch(0.0))
        for n in range(50):
            queue.submit(job(f"f{n}", BULK, seconds=2.0), 0.0)
        sizes.append(len(queue.next_batch(now_s)))
    assert 1 < sizes[0] < sizes[1]


def test_nobody_is_held_back_for_company_because_a_file_is_decoded() -> None:
    """Few partials wait for more while the engine is at work: on files it always is."""
    queue = by_hand()
    queue.submit(job("f", BULK), 0.0)
    assert queue.next_batch(9.0)
    partial = job("a", deadline_s=9.0)
    queue.submit(partial, 9.0)
    assert queue.next_batch(9.0, busy=2) == []
    assert queue.next_batch(9.0, busy=1) == [partial]


def test_files_share_the_engine_by_tenant_and_then_by_age() -> None:
    queue = scheduler()
    for n in range(6):
        queue.submit(job(f"f{n}", BULK, tenant="many", seconds=28.0), 0.0)
    queue.submit(job("g", BULK, tenant="one", seconds=28.0), 0.0)
    order = []
    while batch := queue.next_batch(9.0):
        order += [one.session_id for one in batch]
        queue.finished(batch)
    assert order[0] == "f0"
    assert "g" in order[1:3]
    assert [name for name in order if name != "g"] == [f"f{n}" for n in range(6)]


def test_a_file_that_is_given_up_waits_no_more() -> None:
    queue = scheduler()
    one, other = job("f", BULK), job("f", BULK)
    queue.submit(one, 0.0)
    queue.submit(other, 0.0)
    assert (len(queue), queue.depth()[BULK]) == (2, 2)
    assert queue.cancel(one.id, "f")
    assert not queue.cancel(one.id, "f")
    assert queue.next_batch(9.0) == [other]


@given(
    st.lists(
        st.tuples(st.sampled_from("xyz"), st.floats(0.1, 30), st.booleans(), st.sampled_from(["", "p"])),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 4),
    st.integers(1, 8),
    st.floats(0, 10),
)
def test_every_window_goes_once_in_batches_within_the_limits(
    windows: list[tuple[str, float, bool, str]], slots: int, most: int, idle_s: float
) -> None:
    costs = CostBook()
    costs.enter("m", Costs.of([Measured(n, w, n * w * COST_S) for n, w in ((1, 2.0), (2, 2.0), (1, 8.0))]), main=True)
    lane = BulkLane(BulkOptions(slots, most, 100.0), costs, batch_key)
    jobs = [
        DecodeJob(
            str(n),
            "s",
            tenant,
            0,
            np.zeros(int(seconds * SAMPLE_RATE_HZ), np.int16),
            JobKind.BULK,
            1.0,
            DecodeOptions("m", word_times=timed, prompt=prompt),
        )
        for n, (tenant, seconds, timed, prompt) in enumerate(windows)
    ]
    for one in jobs:
        lane.submit(one, 0.0)
    gone: list[str] = []
    while lane:
        batch = lane.next_batch(0.0, idle_s)
        assert 0 < len(batch) <= most
        assert len({batch_key(one) for one in batch}) == 1
        assert len(batch) == 1 or costs.of_batch(batch) <= ALONE_S
        gone += [one.id for one in batch]
        lane.finished()
    assert sorted(gone, key=int) == [one.id for one in jobs]
