"""Order and composition of batches, as a pure decision over numbers."""

from __future__ import annotations

import itertools

import numpy as np
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, JobKind
from cohear_server.scheduling.scheduler import Scheduler, SchedulerOptions, batch_key
from hypothesis import given
from hypothesis import strategies as st

IDS = itertools.count()
PARTIAL, FINAL, REFINE = JobKind.PARTIAL, JobKind.FINAL, JobKind.REFINE


def job(
    session: str,
    kind: JobKind = PARTIAL,
    *,
    seconds: float = 2.0,
    deadline_s: float = 0.5,
    tenant: str = "t",
    model: str = "m",
    **options: object,
) -> DecodeJob:
    pcm = np.zeros(int(seconds * SAMPLE_RATE_HZ), np.int16)
    chosen = DecodeOptions(model, **options)  # type: ignore[arg-type]
    return DecodeJob(f"j{next(IDS)}", session, tenant, 0, pcm, kind, deadline_s, chosen)


def scheduler(max_batch: int = 8, max_batch_s: float = 1_000.0) -> Scheduler:
    return Scheduler(SchedulerOptions(max_batch, max_batch_s))


def test_nothing_waits_nothing_comes() -> None:
    assert scheduler().next_batch(0.0) == []


def test_finals_go_first_and_alone() -> None:
    queue = scheduler()
    queue.submit(job("a", deadline_s=0.01), 0.0)
    final = job("b", FINAL, deadline_s=0.1)
    queue.submit(final, 0.0)
    assert queue.next_batch(0.0) == [final]


def test_a_final_that_is_not_due_yet_is_for_idle_time() -> None:
    queue = scheduler()
    guess, partial = job("a", FINAL, deadline_s=0.4), job("b")
    queue.submit(guess, 0.0)
    assert queue.next_batch(0.0) == [guess]
    queue.submit(guess, 0.0)
    queue.submit(partial, 0.0)
    assert queue.next_batch(0.0) == [partial]
    queue.submit(job("b"), 0.3)
    assert queue.next_batch(0.3) == [guess], "now it is due"


def test_an_urgent_final_takes_along_what_would_be_next() -> None:
    queue = scheduler()
    urgent, guess, partial = job("a", FINAL, deadline_s=0.1), job("b", FINAL, deadline_s=0.4), job("c")
    for one in (guess, urgent, partial):
        queue.submit(one, 0.0)
    assert queue.next_batch(0.0) == [urgent, guess]


def test_a_final_is_begun_earlier_where_finals_take_long() -> None:
    def comes_before_a_partial(queue: Scheduler) -> bool:
        queue.submit(job("a", FINAL, seconds=8.0, deadline_s=0.4), 0.0)
        queue.submit(job("b"), 0.0)
        kind = queue.next_batch(0.0)[0].kind
        return kind is FINAL

    quick, slow = scheduler(), scheduler()
    for _ in range(30):
        for queue, took_s in ((quick, 0.08), (slow, 0.4)):
            final = job("s", FINAL, seconds=8.0)
            queue.submit(final, 0.0)
            queue.finished(queue.next_batch(0.0), took_s)
    assert not comes_before_a_partial(quick)
    assert comes_before_a_partial(slow)


def test_one_final_that_took_very_long_changes_little() -> None:
    queue = scheduler()
    queue.submit(job("s", FINAL, seconds=8.0), 0.0)
    queue.finished(queue.next_batch(0.0), 60.0)
    guess, partial = job("a", FINAL, seconds=8.0, deadline_s=0.4), job("b")
    queue.submit(guess, 0.0)
    queue.submit(partial, 0.0)
    assert queue.next_batch(0.0) == [partial]


def test_windows_that_cost_alike_go_together() -> None:
    queue = scheduler()
    queue.window_steps_s = {"m": (3.5, 6.5), "other": (2.0,)}
    lengths_s = {1.0: "first", 3.5: "first", 3.6: "second", 7.0: "third", 30.0: "third"}
    for i, seconds in enumerate(lengths_s):
        queue.submit(job(f"s{i}", seconds=seconds), 0.0)
    batches = [[len(j.pcm) / SAMPLE_RATE_HZ for j in queue.next_batch(0.0)] for _ in range(3)]
    assert batches == [[1.0, 3.5], [3.6], [7.0, 30.0]]


def test_each_model_has_its_own_batches_and_steps() -> None:
    queue = scheduler()
    queue.window_steps_s = {"m": (3.5,), "other": (2.0,)}
    queue.submit(job("a", seconds=1.0), 0.0)
    queue.submit(job("b", seconds=3.0), 0.0)
    queue.submit(job("c", seconds=1.0, model="other"), 0.0)
    queue.submit(job("d", seconds=3.0, model="other"), 0.0)
    assert [[j.session_id for j in queue.next_batch(0.0)] for _ in range(3)] == [["a", "b"], ["c"], ["d"]]


def test_a_newer_partial_replaces_the_waiting_one_and_keeps_its_place() -> None:
    queue = scheduler(max_batch=1)
    old, other, new = job("a"), job("b"), job("a")
    assert queue.submit(old, 0.0) is None
    queue.submit(other, 0.2)
    assert queue.submit(new, 0.3) is old
    assert queue.replaced == 1
    assert queue.next_batch(0.3) == [new]
    assert queue.next_batch(0.3) == [other]


def test_a_partial_waits_while_the_same_stream_decodes_one() -> None:
    queue = scheduler()
    first, second = job("a"), job("a")
    queue.submit(first, 0.0)
    batch = queue.next_batch(0.0)
    queue.submit(second, 0.1)
    assert queue.next_batch(0.1) == []
    queue.finished(batch, 0.1)
    assert queue.next_batch(0.1) == [second]


def test_earliest_deadline_first() -> None:
    queue = scheduler(max_batch=1)
    late, early = job("a", FINAL, deadline_s=3.0), job("b", FINAL, deadline_s=1.0)
    queue.submit(late, 0.0)
    queue.submit(early, 0.0)
    assert [queue.next_batch(0.0), queue.next_batch(0.0)] == [[early], [late]]


def test_finals_of_one_stream_keep_their_order() -> None:
    queue = scheduler(max_batch=1)
    finals = [job("a", FINAL) for _ in range(3)]
    for final in finals:
        queue.submit(final, 0.0)
    assert [queue.next_batch(9.0)[0] for _ in finals] == finals


def test_under_overload_the_tenant_that_had_least_comes_next() -> None:
    queue = scheduler(max_batch=1)
    for i in range(6):
        queue.submit(job(f"big{i}", tenant="big"), 0.0)
    queue.submit(job("small", tenant="small"), 0.5)
    order = [queue.next_batch(10.0)[0].tenant for _ in range(7)]
    assert order.index("small") <= 1


def test_a_batch_shares_its_key() -> None:
    queue = scheduler()
    jobs = [job("a"), job("b", prompt="x"), job("c", language="de"), job("d", beam_size=5), job("e", word_times=True)]
    for item in jobs:
        queue.submit(item, 0.0)
    first = queue.next_batch(0.0)
    assert first == [jobs[0], jobs[2], jobs[4]], "languages and word times may differ, all else must agree"
    batches = [first, *iter(lambda: queue.next_batch(0.0), [])]
    assert sorted(len(batch) for batch in batches) == [1, 1, 3]


def test_batch_size_is_bounded_by_count_and_by_seconds() -> None:
    by_count, by_seconds = scheduler(max_batch=3), scheduler(max_batch_s=5.0)
    for queue in (by_count, by_seconds):
        for i in range(5):
            queue.submit(job(f"s{i}"), 0.0)
    assert len(by_count.next_batch(0.0)) == 3
    assert len(by_seconds.next_batch(0.0)) == 2


def test_a_window_longer_than_the_bound_goes_alone() -> None:
    queue = scheduler(max_batch_s=5.0)
    queue.submit(job("a", FINAL, seconds=20), 0.0)
    assert len(queue.next_batch(0.0)) == 1


def test_refinements_wait_for_quiet() -> None:
    queue = scheduler()
    queue.submit(job("a", REFINE), 0.0)
    queue.submit(job("b"), 0.0)
    assert [queue.next_batch(0.0)[0].kind, queue.next_batch(0.0)[0].kind] == [PARTIAL, REFINE]


def test_cancelling() -> None:
    queue = scheduler()
    partial, final = job("a"), job("a", FINAL)
    queue.submit(partial, 0.0)
    queue.submit(final, 0.0)
    assert queue.cancel(partial.id, "a")
    assert queue.cancel(final.id, "a")
    assert not queue.cancel(final.id, "a")
    assert not queue.cancel("x", "unknown")
    assert queue.next_batch(0.0) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(JobKind)), st.floats(0.1, 28)), max_size=40))
def test_no_final_is_ever_lost_and_none_comes_twice(submitted: list[tuple[str, JobKind, float]]) -> None:
    queue = scheduler(max_batch=4, max_batch_s=30.0)
    jobs, replaced = [], []
    for i, (session, kind, seconds) in enumerate(submitted):
        jobs.append(job(session, kind, seconds=seconds))
        gone = queue.submit(jobs[-1], i / 10)
        replaced += [gone] if gone else []
    came: list[DecodeJob] = []
    while batch := queue.next_batch(10.0):
        assert len({batch_key(j) for j in batch}) == 1
        queue.finished(batch, 0.1)
        came += batch
    assert len(queue) == 0
    assert {j.id for j in came} | {j.id for j in replaced} == {j.id for j in jobs}
    assert len(came) + len(replaced) == len(jobs)
    assert all(j.kind is PARTIAL for j in replaced)
