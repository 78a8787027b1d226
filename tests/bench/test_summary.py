"""The table of goals: what is in the result files is shown, and what is missing is not made up."""

from __future__ import annotations

from pathlib import Path

import pytest
from summary import GOALS, goals, reached, read, summary


def test_nothing_measured_is_said() -> None:
    assert {reached(goal, {}) for goal in GOALS} == {"not measured"}
    assert goals({}).count("\n") == len(GOALS) + 1
    assert summary({})["ratio_to_best_rival"] is None


def test_what_was_measured_is_shown() -> None:
    point = {"streams": 1, "ms": {"first_partial": {"p95": 390.0}}, "server": {"rss_mb": 200.0, "ready_s": 1.2}}
    many = {"streams": 41, "ms": {}, "server": {"rss_mb": 280.0}}
    found = {"capacity": 41, "engine_efficiency": 0.91, "points": [point, many]}
    results = {"capacity": {"modes": {"continuous": found}, "model": "tiny.en"}}
    shown = {goal.what: reached(goal, results) for goal in GOALS}
    assert shown["live streams on 2 cores, all speaking without pause"] == "41"
    assert shown["engine efficiency at capacity"] == "91 %"
    assert shown["memory a stream"] == "2.0 MB"
    assert shown["start to ready, tiny.en on disk"] == "1.2 s"
    assert summary(results)["capacity"] == 41


def test_committed_results_fit_the_goals() -> None:
    """A renamed field would silently become "not measured"."""
    folder = Path(__file__).parents[2] / "bench" / "results"
    results = read(folder)
    names = {"wer": "word error of streaming finals", "streaming": "unstable partial words, a partial each 0.5 s"}
    for name, what in names.items():
        if name not in results:
            pytest.skip(f"{name}.json was not measured yet")
        (goal,) = (goal for goal in GOALS if goal.what == what)
        assert reached(goal, results) != "not measured"
