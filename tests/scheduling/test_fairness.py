"""Whose turn it is; what follows for streams is in `test_scheduler`."""

from __future__ import annotations

import math

from cohear_server.scheduling.fairness import MEMORY_S, FairShare
from hypothesis import given
from hypothesis import strategies as st


def test_who_had_least_is_next() -> None:
    fair = FairShare()
    for tenant in "ab":
        fair.waits(tenant, 0.0)
    fair.serve("a", 5.0, 0.0)
    assert fair.rank("b") < fair.rank("a")


def test_a_newcomer_begins_where_the_others_are_served() -> None:
    fair = FairShare()
    fair.waits("old", 0.0)
    for i in range(5_000):
        fair.serve("old", 1.0, float(i))
    fair.waits("new", 5_000.0)
    assert fair.rank("new") <= fair.rank("old")
    behind_s = (fair.rank("old") - fair.rank("new")) / math.exp((5_000.0 - fair._since_s) / MEMORY_S)
    assert behind_s < 2, "one window, not the hours gone by"


def test_an_advantage_fades() -> None:
    fair = FairShare()
    for tenant in "ab":
        fair.waits(tenant, 0.0)
    fair.serve("a", 100.0, 0.0)
    for now_s in (10 * MEMORY_S, 20 * MEMORY_S):
        fair.serve("a", 1.0, now_s)
        fair.serve("b", 1.0, now_s)
    unit = math.exp((20 * MEMORY_S - fair._since_s) / MEMORY_S)
    assert (fair.rank("a") - fair.rank("b")) / unit < 0.01


def test_tenants_who_are_gone_are_forgotten() -> None:
    fair = FairShare()
    for i in range(10_000):
        fair.waits(str(i), 1.0 * i)
        fair.serve(str(i), 1.0, 1.0 * i)
        fair.waits_no_more(str(i))
    assert len(fair) < 1_500


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 1e5)), max_size=60))
def test_ranks_are_numbers_however_time_goes(happenings: list[tuple[str, bool, float]]) -> None:
    fair, now_s, waiting = FairShare(), 0.0, {"a": 0, "b": 0, "c": 0}
    for tenant, comes, later_s in happenings:
        now_s += later_s
        if comes or not waiting[tenant]:
            fair.waits(tenant, now_s)
            waiting[tenant] += 1
        else:
            fair.serve(tenant, 3.0, now_s)
            fair.waits_no_more(tenant)
            waiting[tenant] -= 1
        assert math.isfinite(fair.rank(tenant))
        assert fair.rank(tenant) >= 0
