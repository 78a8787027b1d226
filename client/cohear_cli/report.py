"""The latency of one stream as its client sees it: collected event by event, shown as a small table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cohear_client.protocol import Done, Final, Partial, SampleCount, ServerMessage, SpeechStarted, Stats


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    value: str


class LatencyReport:
    """`speed` relates the audio's time to the clock's; at 0 they are unrelated and only stages are shown."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._speech_at_s: float | None = None
        # each grows by one number an event of a run
        self._first_ms: list[float] = []
        self._partial_ms: list[float] = []
        self._final_ms: list[float] = []
        self._after_ms: list[float] = []
        self._batches: list[float] = []
        self._stats: Stats | None = None
        self._samples: SampleCount | None = None

    def add(self, event: ServerMessage, received_s: float) -> None:
        """Take in an event that came `received_s` after the stream's start."""
        match event:
            case SpeechStarted():
                self._speech_at_s = event.at_s
            case Partial():
                if self._speech_at_s is not None:
                    self._first_ms += self._since(self._speech_at_s, received_s)
                    self._speech_at_s = None
                self._partial_ms.append(event.timing.total_ms)
                self._batches.append(event.timing.batch_size)
            case Final():
                self._speech_at_s = None
                self._final_ms.append(event.timing.total_ms)
                self._after_ms += self._since(event.end_s, received_s)
                self._batches.append(event.timing.batch_size)
            case Stats():
                self._stats = event
            case Done():
                self._samples = event.samples

    def rows(self) -> list[Row]:
        """The table; empty when nothing was said."""
        rows = [
            _quantiles("speech start -> first partial", self._first_ms),
            _quantiles("speech end -> final", self._after_ms),
            _quantiles("in the service: partial", self._partial_ms),
            _quantiles("in the service: final", self._final_ms),
        ]
        batches = [b for b in self._batches if b]
        if batches:
            rows.append(Row("batch size", f"mean {sum(batches) / len(batches):.1f}, largest {max(batches):.0f}"))
        if self._stats is not None:
            rows.append(Row("arrival jitter", f"{self._stats.jitter_ms:.1f} ms, {self._stats.gaps} gaps"))
        if self._samples is not None:
            rows.append(Row("samples", _account(self._samples)))
        return [row for row in rows if row is not None]

    def _since(self, audio_s: float, received_s: float) -> list[float]:
        return [(received_s - audio_s / self._speed) * 1000] if self._speed > 0 else []


def _quantiles(name: str, values_ms: Sequence[float]) -> Row | None:
    if not values_ms:
        return None
    ordered = sorted(values_ms)
    p50, p95 = (ordered[min(int(len(ordered) * q), len(ordered) - 1)] for q in (0.5, 0.95))
    return Row(name, f"p50 {p50:.0f} ms, p95 {p95:.0f} ms ({len(ordered)})")


def _account(samples: SampleCount) -> str:
    parts = f"{samples.transcribed} transcribed + {samples.silent} silent + {samples.shed} shed"
    total = samples.transcribed + samples.silent + samples.shed
    sign = "=" if total == samples.received else "!="
    return f"{parts} {sign} {samples.received} received"
