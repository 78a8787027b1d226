"""Sums over the streams of one load: samples of every measure, over all streams and processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from cohear_client.messages import tag_of
from cohear_client.protocol import Done, Final, Partial, SampleCount, ServerMessage, Warning
from livestream import StreamLog
from measures import (
    Received,
    Shown,
    cursor_lags_ms,
    final_waits,
    first_partials_ms,
    jitter_share,
    partial_ages_ms,
    partial_intervals_ms,
    percentile,
    summary,
    text_until,
    unstable_words,
    word_delays_s,
)
from speech import Errors, error_rate, word_errors
from voice import Voice

LATE_LIMIT_MS = 20.0
MEASURES_MS = (
    "first_partial",
    "first_words",
    "final",
    "final_by_level",
    "final_over_endpoint",
    "final_endpoint_wait",
    "final_service",
    "final_cut",
    "partial_age",
    "cursor_lag",
    "partial_interval",
    "word_shown",
    "word_stable",
    "send_late",
)


@dataclass(slots=True)
class Tally:
    """Samples in ms by measure, and counts; small enough to be sent between processes."""

    ms: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES_MS})
    outcomes: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    windows: dict[str, Counter[float]] = field(default_factory=lambda: {"partial": Counter(), "final": Counter()})
    """windows of the events that arrived, by length in half seconds"""
    errors: list[Errors] = field(default_factory=list)
    samples: Counter[str] = field(default_factory=Counter)
    unstable: int = 0
    final_words: int = 0
    speaking_s: float = 0.0
    audio_s: float = 0.0
    """audio spoken in the steady time by all streams"""
    unsent_bytes: int = 0
    generator_cpu_s: float = 0.0

    def add_stream(self, log: StreamLog, voice: Voice, steady: tuple[float, float], endpoint_ms: float) -> None:
        """One stream's log; `steady` are the monotonic times between which measures count."""
        self.outcomes[log.outcome] += 1
        self.unsent_bytes = max(self.unsent_bytes, log.unsent_bytes)
        self.ms["send_late"] += log.late_ms
        if log.outcome.startswith("refused"):
            return
        events = log.events()
        shown: list[Shown] = [(at_s, event) for at_s, event in events if isinstance(event, Partial | Final)]
        # audio that was prepared but not sent was not spoken
        spurts = [(start, min(end, log.sent_s)) for start, end in voice.spurts if start < log.sent_s]
        since_s, until_s = max(0.0, steady[0] - log.origin_s), min(log.sent_s, steady[1] - log.origin_s)
        heard = Received(shown, spurts, since_s, until_s)
        self.audio_s += until_s - since_s
        self.speaking_s += sum(max(0.0, min(end, until_s) - max(start, since_s)) for start, end in spurts)
        self._add_latencies(heard, endpoint_ms)
        self._add_words(heard, voice, log.sent_s)
        self._count([event for _, event in events])

    def _add_latencies(self, heard: Received, endpoint_ms: float) -> None:
        self.ms["first_partial"] += first_partials_ms(heard)
        self.ms["first_words"] += first_partials_ms(heard, with_words=True)
        self.ms["partial_age"] += partial_ages_ms(heard)
        self.ms["cursor_lag"] += cursor_lags_ms(heard)
        self.ms["partial_interval"] += partial_intervals_ms(heard)
        for wait in final_waits(heard, endpoint_ms):
            told = {
                "final": wait.total_ms,
                "final_by_level": wait.level_ms,
                "final_over_endpoint": wait.over_ms,
                "final_endpoint_wait": wait.endpoint_wait_ms,
                "final_service": wait.service_ms,
                "final_cut": wait.cut_ms,
            }
            for name, value_ms in told.items():
                if value_ms is not None:
                    self.ms[name].append(value_ms)
        for at_s, event in heard.events:
            if heard.counts(at_s):
                self.windows[tag_of(event)][round(2 * event.timing.window_s) / 2] += 1

    def _add_words(self, heard: Received, voice: Voice, sent_s: float) -> None:
        segments = heard.segments()
        for segment, follower in zip(segments, [*segments[1:], []], strict=True):
            final = segment[-1][1]
            if isinstance(final, Final) and heard.counts(final.end_s):
                self.unstable += unstable_words(segment, follower)
                self.final_words += len(final.text.split())
                self.ms["word_shown"] += [1000 * delay for delay in word_delays_s(segment)]
                self.ms["word_stable"] += [1000 * delay for delay in word_delays_s(segment, stable=True)]
        whole = [(clip, end_s) for clip, end_s in voice.said if end_s <= sent_s]
        if whole:
            finals = [event for _, event in heard.events if isinstance(event, Final)]
            reference = " ".join(clip.reference for clip, _ in whole)
            self.errors.append(word_errors(reference, text_until(finals, whole[-1][1]), whole[0][0].lang))

    def _word_error(self) -> dict[str, Any] | None:
        """Pooled word error; the interval draws whole streams, and the clips of a stream are one text."""
        if not any(one.words for one in self.errors):
            return None
        found = error_rate(self.errors)
        return {"streams": found.pop("clips"), **found}

    def _count(self, events: list[ServerMessage]) -> None:
        for event in events:
            if isinstance(event, Warning):
                self.warnings[event.code] += 1
            elif isinstance(event, Done):
                self.samples.update(_counted(event.samples))

    def add(self, other: Tally) -> None:
        for name, values in other.ms.items():
            self.ms[name] += values
        for kind, lengths in other.windows.items():
            self.windows[kind] += lengths
        self.outcomes += other.outcomes
        self.warnings += other.warnings
        self.samples += other.samples
        self.errors += other.errors
        self.unstable += other.unstable
        self.final_words += other.final_words
        self.speaking_s += other.speaking_s
        self.audio_s += other.audio_s
        self.unsent_bytes = max(self.unsent_bytes, other.unsent_bytes)
        self.generator_cpu_s += other.generator_cpu_s

    def report(self) -> dict[str, Any]:
        """Figures for a result file."""
        late = self.ms["send_late"]
        return {
            "valid": bool(late) and percentile(late, 0.99) <= LATE_LIMIT_MS,
            "outcomes": dict(self.outcomes),
            "refused": sum(n for outcome, n in self.outcomes.items() if outcome.startswith("refused")),
            "unfinished": sum(n for outcome, n in self.outcomes.items() if outcome.startswith(("lost", "late"))),
            "warnings": dict(self.warnings),
            "samples": {name: self.samples[name] for name in _counted(SampleCount())},
            "ms": {name: summary(values) for name, values in self.ms.items()},
            "cadence_jitter_share": _rounded(jitter_share(self.ms["partial_interval"]), 3),
            "unstable_words_percent": _rounded(_percent(self.unstable, self.final_words), 1),
            "word_error": self._word_error(),
            "steady_audio_s": round(self.audio_s, 1),
            "speech_share": _rounded(self.speaking_s / self.audio_s if self.audio_s else None, 2),
            "decoded_windows": {kind: _by_length(lengths) for kind, lengths in self.windows.items()},
            "unsent_bytes": self.unsent_bytes,
        }


def _counted(samples: SampleCount) -> dict[str, int]:
    return {name: getattr(samples, name) for name in ("received", "transcribed", "silent", "shed")}


def _by_length(lengths: Counter[float]) -> dict[str, int]:
    return {f"{seconds:g}": lengths[seconds] for seconds in sorted(lengths)}


def _percent(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
