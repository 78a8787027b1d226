"""What is counted and timed, in a Prometheus registry of its own for each service. `docs/operations.md` explains each.

It is an `Observer`: the service tells it what happens and knows nothing else of it. What can be read at any time (live
streams, queues) is read when somebody asks. Labels hold only names from this program, and few values each.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..core import events
from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeResult, JobKind
from ..core.ledger import SampleCount
from ..core.session import Session
from ..live.service import Service
from ..live.timing import JobTrace, stages

LATENCY_S = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
STAGE_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 5.0)
JITTER_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5)
BATCH = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64)
FILL = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
STAGES = ("receive", "vad", "queue", "batch_wait", "decode", "stabilise")
FATES = ("received", "transcribed", "silent", "shed")

MAX_LABELS = 48
"""most values of one label: there are few codes and rules, and a mistake must not fill a Prometheus database"""

RECENT_ERRORS = 50


@dataclass(frozen=True, slots=True)
class SeenError:
    """An error that was sent to a client; it holds nothing that the client sent."""

    at_s: float
    """Unix time"""
    code: str
    fatal: bool
    refused: bool
    """the stream was not admitted"""
    times: int = 1
    """repetitions, the last one at `at_s`: one caller that tries all day must not push out all other errors"""


class Metrics:
    """All counters, gauges and histograms of one service."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self.recent_errors: deque[SeenError] = deque(maxlen=RECENT_ERRORS)
        """newest last"""
        self._scheduler = service.scheduler
        self._labels: dict[str, set[str]] = {}
        made: dict[str, Any] = {"namespace": "cohear", "registry": self.registry}
        self.admitted = Counter("streams_admitted", "Streams admitted.", **made)
        self.resumed_streams = Counter("streams_resumed", "Streams resumed after a lost connection.", **made)
        self.refusals = Counter("streams_refused", "Callers turned away, by error code.", ["code"], **made)
        self.audio = Counter("audio_seconds", "Seconds of audio that met each fate.", ["fate"], **made)
        self.partials = Counter("partials", "Partials emitted.", **made)
        self.partials_replaced = Counter(
            "partials_replaced_unsent", "Partials that newer text replaced before the client took them.", **made
        )
        self.finals = Counter("finals", "Finals emitted, by why the segment ended.", ["reason"], **made)
        self.rules = Counter("rules", "Finals that a rule altered; retried: decoded again, padded.", ["rule"], **made)
        self.errors = Counter("errors", "Errors told to clients of admitted streams, by code.", ["code"], **made)
        self.first_partial = Histogram(
            "first_partial_seconds",
            "Start of speech to the first partial, words in it or not.",
            buckets=LATENCY_S,
            **made,
        )
        self.first_words = Histogram(
            "first_words_seconds", "Start of speech to the first partial with words.", buckets=LATENCY_S, **made
        )
        self.final = Histogram(
            "final_seconds",
            "To the final: from the end of speech (reason endpoint), else from what ended the segment.",
            ["reason"],
            buckets=LATENCY_S,
            **made,
        )
        self.stages = Histogram(
            "stage_seconds", "Where the latency of events went.", ["kind", "stage"], buckets=STAGE_S, **made
        )
        self.jitter = Histogram(
            "jitter_seconds", "Arrival jitter (RFC 3550) of streams, each five seconds.", buckets=JITTER_S, **made
        )
        self.batch_size = Histogram("batch_size", "Windows decoded together.", ["kind"], buckets=BATCH, **made)
        self.batch_fill = Histogram(
            "batch_fill", "Windows in a batch over those that are worth one.", buckets=FILL, **made
        )
        self.busy = Counter("engine_busy_seconds", "Time that slots of the engine were occupied, summed.", **made)
        self.model_busy = Counter(
            "model_busy_seconds", "Time that a model occupied a slot of the engine.", ["model", "kind"], **made
        )
        self.decoded_audio = Counter(
            "decoded_seconds", "Seconds of audio decoded; overlapping windows count each.", ["model", "kind"], **made
        )
        self._audio = {fate: self.audio.labels(fate) for fate in FATES}
        self._stage = {(k, s): self.stages.labels(k, s) for k in ("partial", "final") for s in (*STAGES, "emit")}
        self._batch_size = {kind: self.batch_size.labels(kind.value) for kind in JobKind}
        self.registry.register(_Readings(service))

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)

    # --- what the service tells -------------------------------------------------------------------

    def opened(self, session: Session) -> StreamMetrics:
        self.admitted.inc()
        return StreamMetrics(self, session)

    def refused(self, code: str) -> None:
        self.refusals.labels(self.label("refused", code)).inc()
        self._remember(SeenError(time.time(), code, fatal=True, refused=True))

    def decoded(self, batch: Sequence[DecodeJob], results: Sequence[DecodeResult], busy_s: float) -> None:
        kind, model = batch[0].kind, batch[0].options.model
        self.busy.inc(busy_s)
        self.model_busy.labels(self.label("model", model), kind.value).inc(busy_s)
        decoded = [job for job, result in zip(batch, results, strict=True) if not result.known]
        if not decoded:
            return
        self._batch_size[kind].observe(len(decoded))
        if kind is not JobKind.BULK:  # those of files are short on purpose
            self.batch_fill.observe(min(1.0, len(decoded) / self._scheduler.tuning.batch))
        audio_s = sum(len(job.pcm) for job in decoded) / SAMPLE_RATE_HZ
        self.decoded_audio.labels(self.label("model", model), kind.value).inc(audio_s)

    def failed(self, code: str, *, fatal: bool) -> None:
        self.errors.labels(self.label("error", code)).inc()
        self._remember(SeenError(time.time(), code, fatal=fatal, refused=False))

    def _remember(self, seen: SeenError) -> None:
        last = self.recent_errors[-1] if self.recent_errors else None
        if last is not None and (last.code, last.fatal, last.refused) == (seen.code, seen.fatal, seen.refused):
            self.recent_errors.pop()
            seen = replace(seen, times=last.times + 1)
        self.recent_errors.append(seen)

    def count_audio(self, fate: str, seconds: float) -> None:
        self._audio[fate].inc(seconds)

    def staged(self, kind: str, stage: str, seconds: float) -> None:
        self._stage[kind, stage].observe(seconds)

    def label(self, name: str, value: str) -> str:
        """`value`, or `other` where the label `name` has `MAX_LABELS` values already."""
        known = self._labels.setdefault(name, set())
        if value not in known:
            if len(known) >= MAX_LABELS:
                return "other"
            known.add(value)
        return value


class StreamMetrics:
    """Counts the events of one stream into the metrics of the service."""

    def __init__(self, metrics: Metrics, session: Session) -> None:
        self._metrics = metrics
        self._session = session
        self._rate_hz = session.format.sample_rate_hz
        self._counted = dict.fromkeys(FATES, 0)
        self._spoken_from: int | None = None
        """where the present speech began, until a partial shows words of it"""
        self._answered = False
        """whether it has a partial without words"""

    def emitted(self, event: events.Event, now_s: float, trace: JobTrace | None, origin_s: float) -> None:
        match event:
            case events.Partial():
                self._on_partial(event, now_s, origin_s)
                self._on_stages("partial", trace, origin_s, now_s)
            case events.Final():
                self._on_final(event, now_s - origin_s)
                self._on_stages("final", trace, origin_s, now_s)
            case events.SpeechStarted():
                self._spoken_from = event.at
                self._answered = False
            case events.Stats():
                self._metrics.jitter.observe(event.jitter_s)
                self._count(event.samples)
            case events.Lost():
                self._metrics.failed(event.fault.code, fatal=False)
            case events.Failed():
                self._metrics.failed(event.fault.code, fatal=event.fatal)

    def sent(self, event: events.Decoded, waited_s: float) -> None:
        self._metrics.staged("final" if isinstance(event, events.Final) else "partial", "emit", waited_s)

    def replaced(self) -> None:
        self._metrics.partials_replaced.inc()

    def resumed(self) -> None:
        self._metrics.resumed_streams.inc()

    def ended(self, samples: SampleCount) -> None:
        self._count(samples)

    def _on_partial(self, partial: events.Partial, now_s: float, origin_s: float) -> None:
        self._metrics.partials.inc()
        if self._spoken_from is None:
            return
        # the last audio of the partial arrived at `origin_s`; speech before it is older by the audio between
        waited_s = now_s - origin_s + max(0, partial.end - self._spoken_from) / SAMPLE_RATE_HZ
        if not self._answered:
            self._answered = True
            self._metrics.first_partial.observe(waited_s)
        if partial.stable or partial.volatile:
            self._spoken_from = None
            self._metrics.first_words.observe(waited_s)

    def _on_final(self, final: events.Final, waited_s: float) -> None:
        # the endpoint is known only when its silence is over, and that silence is part of the wait
        silence_s = self._session.endpoint_ms / 1000 if final.reason == "endpoint" else 0.0
        self._metrics.final.labels(final.reason).observe(silence_s + waited_s)
        self._metrics.finals.labels(final.reason).inc()
        self._spoken_from = None
        for rule in final.rules:
            self._metrics.rules.labels(self._metrics.label("rule", rule)).inc()

    def _on_stages(self, kind: str, trace: JobTrace | None, origin_s: float, now_s: float) -> None:
        if trace is None:
            return
        went = stages(trace, origin_s, now_s, now_s)
        for stage in STAGES:
            self._metrics.staged(kind, stage, getattr(went, f"{stage}_ms") / 1000)

    def _count(self, samples: SampleCount) -> None:
        for fate in FATES:
            new = getattr(samples, fate) - self._counted[fate]
            # Counters cannot fall, so a decrease (transcribed audio that was lost after all) is offset against the
            # next increase.
            if new > 0:
                self._counted[fate] += new
                self._metrics.count_audio(fate, new / self._rate_hz)


class _Readings(Collector):
    """Gauges of the service's present state, read at each request."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        service = self._service
        ready = service.ready and not service.draining
        yield GaugeMetricFamily("cohear_ready", "1 if new streams are taken.", float(ready))
        yield GaugeMetricFamily("cohear_streams_live", "Streams now.", len(service.streams))
        yield GaugeMetricFamily(
            "cohear_streams_detached",
            "Live streams whose connection is lost, and may be resumed.",
            service.lost_streams,
        )
        yield GaugeMetricFamily("cohear_streams_limit", "Most streams allowed.", service.config.max_streams)
        yield GaugeMetricFamily(
            "cohear_streams_capacity", "Streams like the present ones that would keep the promise.", service.capacity
        )
        capacity = service.engine.capacity
        yield GaugeMetricFamily("cohear_engine_demand", "Share of the engine that the streams ask for.", service.demand)
        economy = "How far segments are cut and decoded for little work, 0 to 1, rather than most exactly."
        yield GaugeMetricFamily("cohear_economy", economy, capacity.economy(service.clock()))
        rungs = "Partials come 0 as usual, 1 half as often, 2 so and from a smaller model, 3 not at all."
        yield GaugeMetricFamily("cohear_rung", rungs, capacity.rung)
        depth = GaugeMetricFamily("cohear_queue_depth", "Windows that wait for the engine.", labels=["kind"])
        for kind, count in service.scheduler.depth().items():
            depth.add_metric([kind.value], count)
        yield depth
        yield GaugeMetricFamily("cohear_engine_slots", "Batches decoded at the same time.", service.slots)
        yield GaugeMetricFamily("cohear_engine_batches", "Batches in the engine now.", service.dispatcher.decoding)
        yield GaugeMetricFamily("cohear_engine_up", "1 if the engine answers.", float(service.dispatcher.health.up))
        yield GaugeMetricFamily("cohear_engine_hung", "Calls that never returned, or not yet.", service.dispatcher.hung)
        yield CounterMetricFamily(
            "cohear_partials_replaced_undecoded",
            "Waiting partial windows that a newer one of their stream replaced.",
            service.scheduler.replaced,
        )
        if service.cache is not None:
            yield CounterMetricFamily("cohear_cache_hits", "Finals known from the cache.", service.cache.hits)
            yield CounterMetricFamily("cohear_cache_misses", "Finals that were not.", service.cache.misses)
