"""What `/metrics` says after streams that are known to the sample."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from cohear_client import protocol
from cohear_client.protocol import Done, Error, Finalized, Partial, Start, Stop, encode
from cohear_server.app import create_app
from cohear_server.config import ServerConfig
from cohear_server.core import events
from cohear_server.core.audio import AudioFormat
from cohear_server.core.jobs import DecodeOptions, JobKind
from cohear_server.core.ledger import SampleCount
from cohear_server.core.options import SessionOptions
from cohear_server.core.session import Session
from cohear_server.engine.tiers import TieredBackend
from cohear_server.live.service import Service
from cohear_server.ops.metrics import MAX_LABELS, Metrics
from cohear_server.scheduling.ladder import Rung
from cohear_server.scheduling.scheduler import Scheduler, SchedulerOptions
from cohear_testing.fake import FAKE_MODEL, FAULT_MARKER, FakeBackend, FakeOptions
from prometheus_client.parser import text_string_to_metric_families

from ..scheduling.test_scheduler import job
from ..serving import Running, burst, heard_until, quiet, serving

SPEECH = quiet(0.5) + burst(1.0) + quiet(0.8)
MID_SPEECH = 12 * 3_200
"""bytes: 1.2 s"""


def metrics() -> Metrics:
    return Metrics(Service(ServerConfig(), FakeBackend()))


def values(text: str) -> dict[tuple[str, ...], float]:
    """By name and label values, in the labels' order of name."""
    return {
        (s.name, *(s.labels[k] for k in sorted(s.labels))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


async def scraped(running: Running) -> dict[tuple[str, ...], float]:
    async with httpx.AsyncClient(base_url=f"http://{running.address}", trust_env=False) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return values(answer.text)


async def spoken(running: Running, *parts: bytes) -> None:
    async with running.socket() as ws:
        await ws.send(encode(Start()))
        for part in parts:
            for i in range(0, len(part), 3_200):
                await ws.send(part[i : i + 3_200])
                if part is SPEECH and i == MID_SPEECH:  # else its final could come before any partial is decoded
                    await heard_until(ws, Partial)
            await ws.send(encode(protocol.Finalize("here")))
            await heard_until(ws, Finalized)
        await ws.send(encode(Stop()))
        await heard_until(ws, Done)
    await running.service.vacant.wait()


async def test_a_stream_is_counted_from_admission_to_its_last_sample() -> None:
    async with serving(FakeBackend(), max_streams=7) as running:
        before = await scraped(running)
        await spoken(running, SPEECH, quiet(0.2) + burst(0.8))
        got = await scraped(running)
    assert before["cohear_ready",] == 1
    assert before["cohear_streams_limit",] == 7
    assert before["cohear_streams_admitted_total",] == 0
    assert before["cohear_streams_capacity",] == 7
    assert before["cohear_rung",] == 0
    assert before["cohear_economy",] == 0
    assert got["cohear_streams_admitted_total",] == 1
    assert got["cohear_streams_live",] == 0
    fates = {fate: got["cohear_audio_seconds_total", fate] for fate in ("received", "transcribed", "silent", "shed")}
    assert fates["received"] == pytest.approx(2.3 + 1.0)
    assert fates["transcribed"] + fates["silent"] == pytest.approx(fates["received"])
    assert fates["shed"] == 0
    assert got["cohear_finals_total", "endpoint"] == 1
    assert got["cohear_finals_total", "finalize"] == 1
    assert got["cohear_final_seconds_count", "endpoint"] == 1
    assert got["cohear_final_seconds_sum", "endpoint"] > 0.5, "the silence that ends a segment is part of the wait"
    assert got["cohear_final_seconds_sum", "finalize"] < 0.5
    assert got["cohear_first_partial_seconds_count",] >= 1
    assert got["cohear_partials_total",] >= 1
    for stage in ("receive", "vad", "queue", "batch_wait", "decode", "stabilise", "emit"):
        assert got["cohear_stage_seconds_count", "final", stage] == 2
    assert got["cohear_batch_size_count", "final"] >= 2
    assert got["cohear_decoded_seconds_total", "final", "fake"] >= 1.8
    assert got["cohear_engine_slots",] == 1
    assert got["cohear_queue_depth", "final"] == 0


async def test_the_smaller_model_has_its_rung_and_its_share() -> None:
    both = TieredBackend(FakeBackend(), FakeBackend(FakeOptions(model=replace(FAKE_MODEL, name="small"))))
    async with serving(both) as running:
        load = running.service.engine.capacity
        load.step = lambda now_s: Rung.SMALLER  # type: ignore[method-assign]
        load.rung = Rung.SMALLER
        await spoken(running, SPEECH)
        got = await scraped(running)
        async with httpx.AsyncClient(base_url=f"http://{running.address}", trust_env=False) as client:
            status = (await client.get("/v1/status")).json()
    assert got["cohear_rung",] == 2
    assert status["partials"] == "smaller model"
    decoded = {labels[1:] for labels in got if labels[0] == "cohear_decoded_seconds_total"}
    assert decoded == {("partial", "small"), ("final", "fake")}
    assert {model["name"] for model in status["models"]} == {"fake", "small"}


async def test_refusals_and_errors_have_their_codes() -> None:
    async with serving(FakeBackend(), max_streams=1) as running, running.socket() as first, running.socket() as second:
        await first.send(encode(Start()))
        await heard_until(first, protocol.Ready)
        await second.send(encode(Start()))
        await heard_until(second, Error)
        await first.send("nonsense")
        await heard_until(first, Error)
        got = await scraped(running)
        assert got["cohear_streams_refused_total", "overloaded"] == 1
        assert got["cohear_errors_total", "bad_json"] == 1
        (metrics,) = running.service.observer
        assert isinstance(metrics, Metrics)
        assert [(e.code, e.refused, e.fatal) for e in metrics.recent_errors] == [
            ("overloaded", True, True),
            ("bad_json", False, False),
        ]


async def test_audio_that_could_not_be_decoded_counts_as_shed() -> None:
    marked = FAULT_MARKER.astype("<i2").tobytes() + burst(1.0)
    async with serving(FakeBackend()) as running:
        await spoken(running, marked)
        got = await scraped(running)
    assert got["cohear_audio_seconds_total", "shed"] > 0.5
    assert got["cohear_errors_total", "decode_failed"] == 1


def test_the_first_partial_and_the_first_words_are_timed_from_where_speech_began() -> None:
    counting = metrics()
    stream = counting.opened(Session("s", AudioFormat(), DecodeOptions("fake"), SessionOptions(vad="energy")))
    blank = events.Partial(1, 0, 1, "", "", 0.0, 22_400)
    stream.emitted(events.SpeechStarted(16_000), 9.0, None, 0.0)
    stream.emitted(blank, 9.9, None, 9.8)
    stream.emitted(replace(blank, volatile="word", end=24_000), 10.1, None, 10.0)
    stream.emitted(replace(blank, volatile="word or two", end=32_000), 10.6, None, 10.5)
    got = values(counting.text().decode())
    assert got["cohear_first_partial_seconds_count",] == 1
    assert got["cohear_first_partial_seconds_sum",] == pytest.approx(0.5)
    assert got["cohear_first_words_seconds_count",] == 1
    assert got["cohear_first_words_seconds_sum",] == pytest.approx(0.6)


async def test_services_do_not_share_counts() -> None:
    one, other = metrics(), metrics()
    one.refused("overloaded")
    assert ("cohear_streams_refused_total", "overloaded") not in values(other.text().decode())


def test_labels_are_bounded() -> None:
    counting = metrics()
    for i in range(10 * MAX_LABELS):
        counting.refused(f"code{i}")
    codes = [key for key in values(counting.text().decode()) if key[0] == "cohear_streams_refused_total"]
    assert len(codes) == MAX_LABELS + 1
    assert len(counting.recent_errors) <= MAX_LABELS + 10


def test_errors_in_a_row_are_one_that_is_counted() -> None:
    counting = metrics()
    for code in ("overloaded", "unauthorized", "unauthorized", "unauthorized", "overloaded"):
        counting.refused(code)
    seen = [(error.code, error.times) for error in counting.recent_errors]
    assert seen == [("overloaded", 1), ("unauthorized", 3), ("overloaded", 1)]


def test_counters_never_fall() -> None:
    counting = metrics()
    stream = counting.opened(Session("s", AudioFormat(8_000), DecodeOptions("fake"), SessionOptions(vad="energy")))
    stream.ended(SampleCount(16_000, 16_000, 0, 0))
    stream.ended(SampleCount(24_000, 8_000, 8_000, 8_000))
    got = values(counting.text().decode())
    assert got["cohear_audio_seconds_total", "received"] == 3
    assert got["cohear_audio_seconds_total", "transcribed"] == 2
    assert got["cohear_audio_seconds_total", "shed"] == 1


def test_the_queue_is_counted_by_kind() -> None:
    scheduler = Scheduler(SchedulerOptions())
    scheduler.submit(job("s1"), 0.0)
    scheduler.submit(job("s1"), 0.0)
    for _ in range(2):
        scheduler.submit(job("s2", JobKind.FINAL), 0.0)
    scheduler.submit(job("s3", JobKind.BULK), 0.0)
    assert scheduler.depth() == {JobKind.PARTIAL: 1, JobKind.FINAL: 2, JobKind.BULK: 1}


async def test_metrics_are_there_before_the_model_is() -> None:
    transport = httpx.ASGITransport(create_app(Service(ServerConfig(), FakeBackend())))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/metrics")
    assert values(answer.text)["cohear_ready",] == 0
