"""Order and composition of batches, as a pure decision over numbers."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, JobKind
from cohear_server.scheduling.batching import batch_key
from cohear_server.scheduling.costs import CostBook, Costs, Measured
from cohear_server.scheduling.scheduler import Scheduler, SchedulerOptions
from cohear_server.scheduling.tuning import Tuner, Tuning
from hypothesis import given
from hypothesis import strategies as st

IDS = itertools.count()
PARTIAL, FINAL, BULK = JobKind.PARTIAL, JobKind.FINAL, JobKind.BULK
TUNING = Tuning(batch=64, few=8, slack_s=0.25, urgent_s=0.12, longest_s=1e9)


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


def scheduler(
    max_batch: int = 8, max_batch_s: float = 1_000.0, tuning: Tuning = TUNING, costs: CostBook | None = None
) -> Scheduler:
    costs = costs or CostBook()
    return Scheduler(SchedulerOptions(max_batch, max_batch_s), costs, Tuner(costs, by_hand=tuning))


def costing(seconds_a_second: float) -> CostBook:
    """A window takes so much for each of its seconds, alone."""
    costs = CostBook()
    batches = [Measured(n, w, n * w * seconds_a_second) for n, w in ((1, 2.0), (2, 2.0), (1, 8.0))]
    costs.enter("m", Costs.of(batches), main=True)
    return costs


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

    assert not comes_before_a_partial(scheduler(costs=costing(0.01)))
    assert comes_before_a_partial(scheduler(costs=costing(0.05)))


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
    queue.finished(batch)
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


def test_few_partials_wait_for_others_while_the_engine_works_and_they_have_time() -> None:
    queue = scheduler(tuning=replace(TUNING, few=3, slack_s=0.2))
    for name in "ab":
        queue.submit(job(name), 0.0)
    assert queue.next_batch(0.0, busy=1) == []
    assert len(queue.next_batch(0.31, busy=1)) == 2, "now they are due soon"
    for name in "cd":
        queue.submit(job(name), 1.0)
    assert len(queue.next_batch(1.0, busy=0)) == 2, "an idle engine begins at once"
    for name in "efg":
        queue.submit(job(name), 2.0)
    assert len(queue.next_batch(2.0, busy=1)) == 3, "enough of them"


def test_a_batch_is_no_larger_and_takes_no_longer_than_is_worth_it() -> None:
    by_size = scheduler(tuning=replace(TUNING, batch=3))
    by_time = scheduler(tuning=replace(TUNING, longest_s=0.25), costs=costing(0.05))
    for queue in (by_size, by_time):
        for i in range(5):
            queue.submit(job(f"s{i}"), 0.0)
    assert [len(by_size.next_batch(0.0)) for _ in range(2)] == [3, 2]
    assert len(by_time.next_batch(0.0)) == 2, "two windows of 2 s take 0.2 s"
    by_time.submit(job("long", FINAL, seconds=28.0), 0.0)
    assert len(by_time.next_batch(9.0)) == 1, "one goes however long it takes"


def competed(queue: Scheduler, tenants: str, batches: int, at_s: float) -> list[str]:
    """Tenants of the next batches, where each always has more overdue work than can be done."""
    order = []
    for i in range(batches):
        now_s = at_s + 0.1 * i
        for tenant in tenants:
            queue.submit(job(f"{tenant}{next(IDS)}", FINAL, deadline_s=-9.0, tenant=tenant), now_s)
        order += [one.tenant for one in queue.next_batch(now_s)]
    return order


def test_a_newcomer_neither_starves_the_old_nor_waits_for_them() -> None:
    queue = scheduler(max_batch=1)
    competed(queue, "a", 5_000, 0.0)
    order = competed(queue, "ab", 200, 500.0)
    assert 90 <= order.count("b") <= 110
    assert order[:4].count("b") >= 1, "it does not wait"
    assert order[:8].count("a") >= 3, "and does not take all"


def test_who_had_much_long_ago_is_not_punished_for_it() -> None:
    queue = scheduler(max_batch=1)
    competed(queue, "ab", 100, 0.0)
    competed(queue, "a", 500, 10.0)
    while queue.next_batch(60.0):
        pass
    order = competed(queue, "ab", 100, 400.0)
    assert 45 <= order.count("a") <= 55


def test_a_tenant_with_a_larger_share_has_more() -> None:
    queue = Scheduler(SchedulerOptions(1), share=lambda tenant: 3.0 if tenant == "a" else 1.0)
    order = competed(queue, "ab", 200, 0.0)
    assert 140 <= order.count("a") <= 160


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
        queue.finished(batch)
        came += batch
    assert len(queue) == 0
    assert {j.id for j in came} | {j.id for j in replaced} == {j.id for j in jobs}
    assert len(came) + len(replaced) == len(jobs)
    assert all(j.kind is PARTIAL for j in replaced)
