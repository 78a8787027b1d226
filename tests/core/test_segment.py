"""Which window a segment wants next: its cadence, its length, and what a busy engine changes."""

from __future__ import annotations

import pytest
from cohear_server.core.attempts import Attempt, Span
from cohear_server.core.jobs import SAMPLE_RATE_HZ
from cohear_server.core.segment import OpenSegment, PartialOptions

OPTIONS = PartialOptions()
FIRST_S = 1.3 + OPTIONS.first_ms / 1000


def at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)


@pytest.fixture
def segment() -> OpenSegment:
    """Speech from 1.3 s on, with pre-roll."""
    return OpenSegment(0, at(1.0), at(1.3), OPTIONS)


def wanted(segment: OpenSegment, until_s: float, begin: bool) -> list[Span]:
    """The windows asked for while 20 ms frames come; `begin`: an idle engine takes each at once."""
    windows = []
    for step in range(65, round(until_s * 50) + 1):
        window = segment.due_window(step * SAMPLE_RATE_HZ // 50)
        if window is not None:
            windows.append(window)
            segment.attempts.partial(Attempt(str(step), window, 0.0))
            if begin:
                segment.begun(str(step))
    return windows


def test_an_idle_engine_has_one_each_interval(segment: OpenSegment) -> None:
    ends = [window.end for window in wanted(segment, 4.0, begin=True)]
    assert ends == [at(FIRST_S + OPTIONS.interval_ms / 1000 * i) for i in range(7)]


def test_a_window_that_waits_is_replaced_by_a_fresher_one(segment: OpenSegment) -> None:
    ends = [window.end for window in wanted(segment, 2.0, begin=False)]
    assert ends == [at(FIRST_S + 0.1 * i) for i in range(6)]


@pytest.mark.parametrize(("begin", "limit_s"), [(True, OPTIONS.trim_after_s), (False, OPTIONS.trim_waiting_after_s)])
def test_word_times_are_measured_where_the_window_is_to_be_cut(
    segment: OpenSegment, begin: bool, limit_s: float
) -> None:
    for window in wanted(segment, 9.0, begin):
        assert window.timed == ((window.end - window.start) / SAMPLE_RATE_HZ > limit_s)
