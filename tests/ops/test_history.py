"""A quarter of an hour in steps, on a clock that is set."""

from __future__ import annotations

import pytest
from cohear_server.config import ServerConfig
from cohear_server.core.audio import AudioFormat
from cohear_server.core.events import Final
from cohear_server.core.jobs import DecodeOptions, DecodeResult, JobKind
from cohear_server.core.options import SessionOptions
from cohear_server.core.session import Session
from cohear_server.live.service import Service
from cohear_server.ops.history import STEP_S, STEPS, History, percentiles
from cohear_server.ops.metrics import LATENCY_S, Metrics
from cohear_testing.fake import FakeBackend

from ..scheduling.test_scheduler import job


class Bench:
    """A service nobody runs, and what is counted of it."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.service = Service(ServerConfig(max_batch=4), FakeBackend(), clock=lambda: self.now_s)
        self.metrics = Metrics(self.service)
        self.history = History(self.service, self.metrics)

    def step(self) -> None:
        self.now_s += STEP_S
        self.history.step()

    def final(self, waited_s: float) -> None:
        stream = self.metrics.opened(Session("s", AudioFormat(), DecodeOptions("fake"), SessionOptions(vad="energy")))
        final = Final(1, 0, "a", 1.0, "en", 0, 16_000, "stop", "fake")
        stream.emitted(final, waited_s, None, 0.0)
        self.metrics.final.labels("endpoint").observe(waited_s)


def test_a_step_holds_what_was_counted_in_it_and_no_more() -> None:
    bench = Bench()
    bench.final(0.64)
    bench.metrics.decoded([job("s1"), job("s2")], [DecodeResult("1"), DecodeResult("2")], 2.5)
    bench.metrics.refused("overloaded")
    bench.step()
    bench.step()
    series = bench.history.series()
    assert series["final_ms.p50"] == [pytest.approx(650, abs=50), None]
    assert series["first_partial_ms.p95"] == [None, None]
    assert series["batch_size"] == [2, None]
    assert series["batch_fill"] == [0.5, None]
    assert series["busy"] == [0.5, 0]
    assert series["refused"] == [1, 0]


def test_the_most_that_was_seen_in_a_step_is_kept() -> None:
    bench = Bench()
    scheduler = bench.service.scheduler
    waiting = [job("s1", JobKind.FINAL), job("s2", JobKind.FINAL)]
    for each in waiting:
        scheduler.submit(each, 0.0)
    bench.history.look()
    for each in waiting:
        scheduler.cancel(each.id, each.session_id)
    bench.step()
    bench.step()
    assert bench.history.series()["queued_finals"] == [2, 0]


def test_it_is_a_ring() -> None:
    bench = Bench()
    for _ in range(3 * STEPS):
        bench.step()
    series = bench.history.series()
    assert {len(line) for line in series.values()} == {STEPS}


def test_the_last_minute_forgets_what_is_older() -> None:
    bench = Bench()
    bench.final(3.0)
    for _ in range(13):
        bench.step()
    assert bench.history.last_minute(bench.history.read())["final_ms"]["p99"] is None
    bench.final(0.2)
    assert bench.history.last_minute(bench.history.read())["final_ms"]["p99"] == pytest.approx(200, abs=50)


def test_models_share_the_engine() -> None:
    bench = Bench()
    bench.metrics.decoded([job("s1")], [DecodeResult("1")], 3.0)
    (model,) = bench.history.models(bench.history.read())
    assert model == {"name": "m", "share": 1.0, "audio_s": 2.0}


def test_percentiles_lie_within_their_buckets() -> None:
    before = (0.0,) * (len(LATENCY_S) + 1)
    after = tuple(10.0 if edge_s >= 0.3 else 0.0 for edge_s in (*LATENCY_S, float("inf")))
    found = percentiles(LATENCY_S, before, after)
    assert all(250 < (value or 0) <= 300 for value in found.values())
    beyond = (*((0.0,) * len(LATENCY_S)), 1.0)
    assert percentiles(LATENCY_S, before, beyond)["p50"] == 10_000
