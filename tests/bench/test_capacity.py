"""The search for the largest number, and the verdict on a report."""

from __future__ import annotations

from typing import Any

import pytest
from capacity import Search, broken
from engine import core_s_of_windows
from hypothesis import given
from hypothesis import strategies as st


def search(capacity: int, limit: int = 500, precision: float = 0.0) -> Search:
    return Search(lambda n: {"broken": ["too many"] if n > capacity else []}, limit, precision)


@given(st.integers(0, 600), st.integers(1, 100))
def test_the_search_finds_the_capacity(capacity: int, first: int) -> None:
    assert search(capacity).run(first) == min(capacity, 500)


def test_it_doubles_then_bisects() -> None:
    probes = search(11)
    assert probes.run(2) == 11
    assert list(probes.reports) == [2, 4, 8, 16, 12, 10, 11]


def test_it_stops_where_the_bounds_are_near_enough() -> None:
    probes = search(103, precision=0.1)
    assert 94 <= probes.run(8) <= 103
    assert len(probes.reports) < len(search(103).reports) + 9


def measured(final_ms: float = 250.0, lag_ms: float = 900.0, cut_ms: float | None = None) -> dict[str, Any]:
    return {
        "final_over_endpoint": {"count": 9, "p95": final_ms},
        "cursor_lag": {"count": 9, "p95": lag_ms},
        "final_cut": {"count": 0} if cut_ms is None else {"count": 9, "p95": cut_ms},
    }


def report(**changes: Any) -> dict[str, Any]:
    return {"ms": measured(), "samples": {"shed": 0}, "refused": 0, "unfinished": 0, "valid": True} | changes


def test_a_kept_promise() -> None:
    assert broken(report()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"samples": {"shed": 3}}, "shed"),
        ({"refused": 1}, "refused"),
        ({"unfinished": 1}, "unfinished"),
        ({"valid": False}, "generator"),
        ({"ms": measured(final_ms=301)}, "final_over_endpoint"),
        ({"ms": measured(lag_ms=1_001)}, "cursor_lag"),
        ({"ms": measured(cut_ms=1_001)}, "final_cut"),
        ({"ms": measured() | {"cursor_lag": {"count": 0}}}, "no cursor_lag"),
    ],
)
def test_a_broken_promise_says_which(changes: dict[str, Any], said: str) -> None:
    assert said in " ".join(broken(report(**changes)))


def test_windows_cost_what_the_best_batch_costs() -> None:
    def row(window_s: float, rate: float, padded: bool = False) -> dict[str, Any]:
        rates = {"audio_s_per_core_s": rate, "audio_s_per_core_s_with_word_times": rate / 2}
        return {"window_s": window_s, "padded": padded, **rates}

    engine = {"rows": [row(2, 10), row(2, 20), row(4, 40), row(4, 1000, padded=True)]}
    assert core_s_of_windows(engine, {"partial": {"2": 3}, "final": {"4": 1}}) == pytest.approx(0.3 + 0.2)
    assert core_s_of_windows(engine, {"partial": {"3": 1, "0.5": 1, "9": 1}}) == pytest.approx(0.3)
