from __future__ import annotations

import pytest
from cohear_server.live.timing import JobTrace, stages
from cohear_server.scheduling.dispatcher import JobTimes
from hypothesis import given
from hypothesis import strategies as st


def trace(*moments: float) -> JobTrace:
    arrived, taken, submitted, batched, begun, decoded = moments
    return JobTrace(arrived, taken, JobTimes(submitted, batched, begun, decoded), batch_size=3, window_s=2.0)


def test_each_stage_gets_its_time() -> None:
    t = stages(trace(0.0, 0.001, 0.003, 0.010, 0.011, 0.061), 0.0, 0.064, 0.065)
    spent = (t.receive_ms, t.vad_ms, t.queue_ms, t.batch_wait_ms, t.decode_ms, t.stabilise_ms, t.emit_ms)
    assert spent == pytest.approx((1, 2, 7, 1, 50, 3, 1))
    assert (t.batch_size, t.window_s) == (3, 2.0)


def test_what_was_over_before_the_endpoint_costs_nothing() -> None:
    t = stages(trace(0.0, 0.001, 0.003, 0.010, 0.011, 0.061), 0.3, 0.301, 0.303)
    assert (t.receive_ms, t.decode_ms) == (0, 0)
    assert t.total_ms == pytest.approx(3)


@given(st.lists(st.floats(0, 100), min_size=8, max_size=8), st.floats(0, 100))
def test_stages_add_up(moments: list[float], origin_s: float) -> None:
    arrived, taken, submitted, batched, begun, decoded, emitted, sent = sorted(moments)
    origin_s = min(origin_s, sent)
    t = stages(trace(arrived, taken, submitted, batched, begun, decoded), origin_s, emitted, sent)
    assert t.total_ms == pytest.approx(1000 * (sent - max(origin_s, arrived)), abs=0.01)
