"""The last quarter of an hour, in steps of five seconds: what the metrics counted in each, as rates and percentiles.

A ring of readings of `Metrics`; a step is the difference of two readings. Nothing is written to a disk. For a longer
history, let Prometheus read `/metrics`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client.metrics import MetricWrapperBase

from ..core.jobs import JobKind
from ..live.service import Service
from .metrics import JITTER_S, LATENCY_S, Metrics

STEP_S = 5.0
SPAN_S = 900.0
LOOK_S = 1.0
"""how often streams and queues are counted within a step; the step keeps the largest count"""
STEPS = round(SPAN_S / STEP_S)
MINUTE_STEPS = round(60 / STEP_S)

Buckets = tuple[float, ...]
"""cumulative counts, the last one of all values"""


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at one moment."""

    at_s: float
    first_partial: Buckets
    first_words: Buckets
    final: Buckets
    jitter: Buckets
    batches: float
    windows: float
    filled: float
    busy_s: float
    shed_s: float
    received_s: float
    refused: float
    errors: float
    model_busy_s: dict[str, float]
    model_audio_s: dict[str, float]
    capacity: int
    demand: float
    rung: int
    streams: int = 0
    """largest number since the previous reading; the same holds for the queues"""
    queued_partials: int = 0
    queued_finals: int = 0


class History:
    """`run` takes the readings; the other methods evaluate them."""

    def __init__(self, service: Service, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics
        self._peak = dict.fromkeys(("streams", "queued_partials", "queued_finals"), 0)
        self._readings: deque[Reading] = deque([self.read()], maxlen=STEPS + 1)
        self._steps: deque[dict[str, Any]] = deque(maxlen=STEPS)

    async def run(self) -> None:
        """Take readings until cancelled."""
        while True:
            for _ in range(round(STEP_S / LOOK_S)):
                await asyncio.sleep(LOOK_S)
                self.look()
            self.step()

    def look(self) -> None:
        """Count the streams and waiting windows of this moment."""
        depth = self._service.scheduler.depth()
        now = {
            "streams": len(self._service.streams),
            "queued_partials": depth[JobKind.PARTIAL],
            "queued_finals": depth[JobKind.FINAL],
        }
        self._peak = {name: max(now[name], self._peak[name]) for name in now}

    def step(self) -> None:
        """End a step now."""
        self.look()
        reading = self.read()
        self._steps.append(self._between(self._readings[-1], reading))
        self._readings.append(reading)
        self._peak = dict.fromkeys(self._peak, 0)

    def last_minute(self, now: Reading) -> dict[str, Any]:
        """Figures of the last minute; latencies and jitter in ms, None where there were none."""
        return self._between(self._readings[max(0, len(self._readings) - MINUTE_STEPS)], now)

    def models(self, now: Reading) -> list[dict[str, Any]]:
        """Each model's share of the engine's work since the ring began, and the audio it decoded; busiest first."""
        first = self._readings[0]
        spent = {name: busy_s - first.model_busy_s.get(name, 0.0) for name, busy_s in now.model_busy_s.items()}
        whole_s = sum(spent.values())
        return [
            {
                "name": name,
                "share": round(busy_s / whole_s, 3) if whole_s else 0.0,
                "audio_s": round(now.model_audio_s[name] - first.model_audio_s.get(name, 0.0), 1),
            }
            for name, busy_s in sorted(spent.items(), key=lambda item: -item[1])
        ]

    def recent(self, now: Reading) -> dict[str, float]:
        """How much was received, shed, refused and in error since the ring began."""
        first = self._readings[0]
        names = ("received_s", "shed_s", "refused", "errors")
        return {name: round(getattr(now, name) - getattr(first, name), 1) for name in names}

    def series(self) -> dict[str, list[Any]]:
        """One value for each step, oldest first; latencies and jitter in ms, None where there were none."""
        lines: dict[str, list[Any]] = {}
        for step in self._steps:
            for name, value in step.items():
                for key, single in ({"": value} if not isinstance(value, dict) else value).items():
                    lines.setdefault(f"{name}.{key}" if key else name, []).append(single)
        return lines

    def _between(self, before: Reading, after: Reading) -> dict[str, Any]:
        batches = after.batches - before.batches
        passed_s = (after.at_s - before.at_s) * max(1, self._slots)
        return {
            "streams": after.streams,
            "capacity": after.capacity,
            "rung": after.rung,
            "first_partial_ms": percentiles(LATENCY_S, before.first_partial, after.first_partial),
            "first_words_ms": percentiles(LATENCY_S, before.first_words, after.first_words),
            "final_ms": percentiles(LATENCY_S, before.final, after.final),
            "jitter_ms": percentiles(JITTER_S, before.jitter, after.jitter),
            "queued_partials": after.queued_partials,
            "queued_finals": after.queued_finals,
            "batch_size": round((after.windows - before.windows) / batches, 2) if batches else None,
            "batch_fill": round((after.filled - before.filled) / batches, 3) if batches else None,
            "busy": round(min(1.0, (after.busy_s - before.busy_s) / passed_s), 3) if passed_s > 0 else 0.0,
            "demand": round(after.demand, 3),
            "shed_s": round(after.shed_s - before.shed_s, 2),
            "refused": round(after.refused - before.refused),
            "errors": round(after.errors - before.errors),
        }

    @property
    def _slots(self) -> int:
        return self._service.slots

    def read(self) -> Reading:
        """All counters now."""
        metrics, service = self._metrics, self._service
        model_busy_s = _by_label(metrics.model_busy, "model")
        audio_s = _by_label(metrics.audio, "fate")
        return Reading(
            at_s=service.clock(),
            first_partial=_buckets(metrics.first_partial),
            first_words=_buckets(metrics.first_words),
            final=_buckets(metrics.final, reason="endpoint"),
            jitter=_buckets(metrics.jitter),
            batches=_total(metrics.batch_fill, "_count"),
            windows=_total(metrics.batch_size, "_sum"),
            filled=_total(metrics.batch_fill, "_sum"),
            busy_s=_total(metrics.busy),
            shed_s=audio_s.get("shed", 0.0),
            received_s=audio_s.get("received", 0.0),
            refused=_total(metrics.refusals),
            errors=_total(metrics.errors),
            capacity=service.capacity,
            demand=service.demand,
            rung=service.engine.capacity.rung,
            model_busy_s=model_busy_s,
            model_audio_s=_by_label(metrics.decoded_audio, "model"),
            **self._peak,
        )


def percentiles(edges_s: Sequence[float], before: Buckets, after: Buckets) -> dict[str, float | None]:
    """Median, 95th and 99th percentile in ms of the values counted between two readings of a histogram, by linear
    interpolation within a bucket; None where there were none."""
    counts = [late - early for early, late in zip(before, after, strict=True)]
    return {f"p{part}": _quantile(edges_s, counts, part / 100) for part in (50, 95, 99)}


def _quantile(edges_s: Sequence[float], counts: Sequence[float], part: float) -> float | None:
    if counts[-1] <= 0:
        return None
    wanted = part * counts[-1]
    low_s = below = 0.0
    for edge_s, count in zip(edges_s, counts, strict=False):
        if count >= wanted:
            return round(1000 * (low_s + (edge_s - low_s) * (wanted - below) / (count - below)), 1)
        low_s, below = edge_s, count
    return 1000 * edges_s[-1]  # beyond the last edge: at least that


def _buckets(metric: MetricWrapperBase, **labels: str) -> Buckets:
    found = [s.value for f in metric.collect() for s in f.samples if s.name.endswith("_bucket") and _has(s, labels)]
    return tuple(found) or (0.0,) * (len(LATENCY_S) + 1)  # a label that was not seen yet has no buckets


def _has(sample: Any, labels: dict[str, str]) -> bool:
    return all(sample.labels.get(name) == value for name, value in labels.items())


def _total(metric: MetricWrapperBase, ending: str = "_total") -> float:
    return sum(s.value for f in metric.collect() for s in f.samples if s.name.endswith(ending))


def _by_label(metric: MetricWrapperBase, label: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for family in metric.collect():
        for sample in family.samples:
            if sample.name.endswith("_total"):
                sums[sample.labels[label]] = sums.get(sample.labels[label], 0.0) + sample.value
    return sums
