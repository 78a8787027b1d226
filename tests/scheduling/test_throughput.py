"""Batches of files, as a pure decision over numbers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, JobKind
from cohear_server.scheduling.throughput import ThroughputOptions, ThroughputScheduler
from hypothesis import given
from hypothesis import strategies as st

STEPS_S = (2.0, 4.0, 8.5, 16.5)
SHORT, LONG = 1.0, 3.0
"""windows of two classes"""
IDS = itertools.count()


def job(seconds: float = SHORT, *, deadline_s: float = math.inf, **options: object) -> DecodeJob:
    pcm = np.zeros(int(seconds * SAMPLE_RATE_HZ), np.int16)
    chosen = DecodeOptions("m", **options)  # type: ignore[arg-type]
    return DecodeJob(str(next(IDS)), "file", "", 0, pcm, JobKind.FINAL, deadline_s, chosen)


def policy(**options: float) -> ThroughputScheduler:
    made = ThroughputScheduler(ThroughputOptions(**options))  # type: ignore[arg-type]
    made.window_steps_s = STEPS_S
    return made


def submitted(queue: ThroughputScheduler, *jobs: DecodeJob) -> list[DecodeJob]:
    for one in jobs:
        queue.submit(one, 0.0)
    return list(jobs)


def test_a_full_lane_goes_and_the_rest_waits_for_mates() -> None:
    queue = policy(max_batch=3)
    first, other, *rest = submitted(queue, *map(job, (SHORT, LONG, SHORT, SHORT)))
    assert queue.next_batch(0.0) == [first, *rest]
    assert queue.next_batch(0.0) == []
    assert (len(queue), queue.depth()[JobKind.FINAL]) == (1, 1)
    queue.draining = True
    assert queue.next_batch(0.0) == [other]
    assert (len(queue), queue.next_batch(0.0)) == (0, [])


@pytest.mark.parametrize(("seconds", "size"), [(1.0, 10), (8.0, 8), (16.0, 5), (17.0, 3), (30.0, 3)])
def test_a_batch_is_bounded_by_what_its_windows_cost(seconds: float, size: int) -> None:
    queue = policy(max_batch=10, max_batch_s=100.0)
    submitted(queue, *(job(seconds) for _ in range(12)))
    assert len(queue.next_batch(0.0)) == size


def test_one_window_goes_however_little_may() -> None:
    queue = policy(max_batch_s=1.0)
    (only,) = submitted(queue, job(30.0))
    assert queue.next_batch(0.0) == [only]


def test_without_steps_all_windows_cost_the_same() -> None:
    queue = policy(max_batch_s=60.0)
    queue.window_steps_s = ()
    first, second, _ = submitted(queue, *map(job, (SHORT, LONG, SHORT)))
    assert queue.next_batch(0.0) == [first, second]


def test_what_is_decoded_otherwise_is_in_another_batch() -> None:
    queue = policy(max_batch=2)
    hot = submitted(queue, job(), job(temperature=0.2), job(beam_size=5), job(prompt="said"))
    assert queue.next_batch(0.0) == []
    mates = submitted(queue, job(temperature=0.2, language="de"))
    assert queue.next_batch(0.0) == [hot[1], *mates]


def test_what_is_left_is_shared_out_evenly() -> None:
    queue = policy(max_batch=8, slots=2)
    submitted(queue, *(job() for _ in range(6)))
    assert queue.next_batch(0.0) == []
    queue.draining = True
    assert [len(queue.next_batch(0.0)) for _ in range(3)] == [3, 2, 1]


def test_with_as_many_as_may_wait_the_longest_lane_goes() -> None:
    queue = policy(max_batch=4, slots=4, capacity=4)
    jobs = submitted(queue, *map(job, (SHORT, LONG, LONG)))
    assert queue.next_batch(0.0) == []
    submitted(queue, job(5.0))
    assert queue.next_batch(0.0) == jobs[1:]
    assert queue.next_batch(0.0) == []


def test_a_lonely_window_is_not_passed_by_for_ever() -> None:
    queue = policy(max_batch=2, patience=3)
    lonely = submitted(queue, job(LONG))
    batches = []
    for _ in range(5):
        submitted(queue, job(), job())
        batches.append(queue.next_batch(0.0))
    assert batches.index(lonely) == 3


def test_the_lane_that_was_full_longest_goes_first() -> None:
    queue = policy(max_batch=2)
    early = submitted(queue, job(LONG))
    submitted(queue, job(), job())
    queue.next_batch(0.0)
    late = submitted(queue, job(), job(), job())
    early += submitted(queue, job(LONG))
    assert queue.next_batch(0.0) == early
    assert queue.next_batch(0.0) == late[:2]


def test_a_window_that_is_waited_for_goes_at_once_with_what_fits() -> None:
    queue = policy(max_batch=3)
    mates = submitted(queue, *map(job, (LONG, LONG)))
    wanted = submitted(queue, job(LONG, deadline_s=0.0))
    submitted(queue, *(job() for _ in range(3)))
    assert queue.next_batch(0.0) == [*wanted, *mates]
    small = policy(max_batch=1)
    others = submitted(small, job(), job())
    wanted = submitted(small, job(deadline_s=0.0))
    assert [small.next_batch(0.0) for _ in range(3)] == [wanted, others[:1], others[1:]]


def test_what_is_cancelled_is_not_decoded() -> None:
    queue = policy()
    first, second = submitted(queue, job(), job())
    assert queue.cancel(first.id, "file")
    assert not queue.cancel(first.id, "file")
    queue.draining = True
    assert queue.next_batch(0.0) == [second]
    assert not queue.cancel(second.id, "file")


@given(
    st.lists(st.tuples(st.sampled_from([1.0, 3.0, 6.0, 15.0, 29.0]), st.booleans()), max_size=60),
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(1, 9),
)
def test_everything_is_decoded_once_in_batches_of_one_class(
    windows: list[tuple[float, bool]], max_batch: int, slots: int, capacity: int
) -> None:
    queue = policy(max_batch=max_batch, slots=slots, capacity=capacity)
    taken: list[DecodeJob] = []

    def take() -> list[DecodeJob]:
        batch = queue.next_batch(0.0)
        assert len(batch) <= max_batch
        assert len({sum(len(one.pcm) > step * SAMPLE_RATE_HZ for step in STEPS_S) for one in batch}) <= 1
        taken.extend(batch)
        return batch

    jobs = [job(seconds, deadline_s=0.0 if wanted else math.inf) for seconds, wanted in windows]
    for one in jobs:
        queue.submit(one, 0.0)
        while len(queue) >= capacity:
            assert take(), "whoever submits would wait for ever"
    queue.draining = True
    while take():
        pass
    assert sorted(int(one.id) for one in taken) == [int(one.id) for one in jobs]
