"""The cost model: what decoding costs on this machine with this model, in seconds of a slot of the engine.

    batch of n windows  =  encode(window) x together(n)  +  decoder steps x step(n)  +  word times

The curves are measured at warm-up (see `warmup`) and corrected by every decoded batch. Everything that depends on the
speed of a machine follows from them: batches in `tuning`, streams in `capacity`. A pure computation.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeResult

TOKENS_A_SECOND = 3.4
"""Tokens in a second of speech, until some text was decoded: about 2.6 words with 1.3 tokens each."""

FIRST_STEPS = 2.0
"""decoder steps of a window without text: one over its prompt, one that ends it"""

CALL_STEPS = 8.0
"""Work of the decoder that each call needs once, counted in steps: mainly the keys and values of the encoder's states.
It follows from Whisper's shape, not from the machine."""

WORD_TIMES_SHARE = 0.6
"""cost of the word times of a window, as a share of its encoding, until some were measured"""

SCALE_LEARNS, CURVES_LEARN = 0.1, 0.02
"""After each batch, so much of its error (as a logarithm) is corrected: in the scale of all curves, and in the points
of the curves near it. Most errors concern the scale, for example when the machine was busier at warm-up than now."""

LARGEST_ERROR = 2.0
"""A batch counts as at most this many times slower or faster than expected: other programs may have disturbed it."""

LEAST_S = 1e-7


class Curve:
    """A positive function through given points. It is linear between them, and its first and last pieces go on
    outside."""

    def __init__(self, points: Mapping[float, float]) -> None:
        self._x = sorted(points)
        self._y = [max(LEAST_S, points[x]) for x in self._x]

    def at(self, x: float) -> float:
        if len(self._x) == 1:
            return self._y[0]
        i = self._left(x)
        part = (x - self._x[i]) / (self._x[i + 1] - self._x[i])
        # a line through two measured points may fall: it is not followed far below the lower one
        return max(self._y[i] + part * (self._y[i + 1] - self._y[i]), min(self._y) / 4)

    def learn(self, x: float, ratio: float, weight: float = 1.0) -> None:
        """The true value at `x` is `ratio` times the present one: move the points near it a little."""
        error = weight * CURVES_LEARN * math.log(ratio)
        i = self._left(x) if len(self._x) > 1 else 0
        step = self._x[i + 1] - self._x[i] if len(self._x) > 1 else 1.0
        for k, here in enumerate(self._x):
            near = max(0.0, 1.0 - abs(here - min(max(x, self._x[0]), self._x[-1])) / step)
            self._y[k] *= math.exp(error * near)

    def points(self) -> dict[float, float]:
        return dict(zip(self._x, self._y, strict=True))

    def _left(self, x: float) -> int:
        """Index of the point where the piece of `x` begins."""
        return min(max(0, bisect_right(self._x, x) - 1), len(self._x) - 2)


@dataclass(frozen=True, slots=True)
class Measured:
    """The measured cost of one batch."""

    windows: int
    window_s: float
    """length of each window"""
    total_s: float
    encode_s: float = 0.0
    """the part for encoding; 0: unknown, then half of the total is assumed"""
    steps: int = 0
    """decoder steps; 0: unknown, then those of usual speech are assumed"""


class Costs:
    """The cost model of one model."""

    def __init__(self, encode: Curve, together: Curve, step: Curve) -> None:
        self.encode = encode
        """seconds for one window alone, by its length in seconds"""
        self.together = together
        """by the number of windows: cost of encoding them in one batch, as a multiple of one alone"""
        self.step = step
        """seconds of a decoder step, by the number of windows"""
        self.word_times = Curve({x: WORD_TIMES_SHARE * y for x, y in encode.points().items()})
        """seconds for the word times of one window, by its length"""
        self.scale = 1.0
        """factor of all curves"""
        self.tokens_a_second = TOKENS_A_SECOND
        self.batches = 0
        """batches from which it has learnt"""

    @classmethod
    def of(cls, measured: Sequence[Measured]) -> Costs:
        """The costs from the batches of a warm-up: growing sizes of equal windows, and one window of another length."""
        first = next(one for one in measured if one.windows == 1)
        alike = [one for one in measured if one.window_s == first.window_s]
        alone = [one for one in measured if one.windows == 1]
        encode = Curve({one.window_s: _encode_s(one) for one in alone})
        together: dict[float, float] = {one.windows: _encode_s(one) / max(LEAST_S, _encode_s(first)) for one in alike}
        step: dict[float, float] = {one.windows: (one.total_s - _encode_s(one)) / _steps_of(one) for one in alike}
        return cls(encode, Curve(_rising(together)), Curve(_rising(step)))

    def seconds(self, windows: int, window_s: float, *, timed: float = 0.0) -> float:
        """Expected seconds of a batch of so many windows of speech of this length, `timed` of them with word times."""
        encode_s = self.encode.at(window_s) * self.together.at(windows)
        decode_s = self._steps(window_s) * self.step.at(windows)
        return self.scale * (encode_s + decode_s + timed * self.word_times.at(window_s))

    def of_batch(self, jobs: Sequence[DecodeJob]) -> float:
        """Expected seconds for these jobs. Steps go on for windows whose text has ended, so the longest one counts."""
        encode_s, decode_s, times_s = self._parts(jobs, self._steps(_longest_s(jobs)))
        return encode_s + decode_s + times_s

    def observe(self, jobs: Sequence[DecodeJob], results: Sequence[DecodeResult], busy_s: float) -> None:
        """A batch was decoded and kept a slot so long: correct the curves. Nothing is learnt from batches that came
        from a cache, failed in part, or were second tries, which are padded."""
        odd = any(result.known or result.error is not None for result in results)
        if busy_s <= 0 or odd or any(job.second_try is not None for job in jobs):
            return
        self.batches += 1
        longest_s = _longest_s(jobs)
        steps = max(result.steps for result in results)
        if steps and longest_s >= 1:
            self.tokens_a_second += SCALE_LEARNS * (max(0.0, steps - FIRST_STEPS) / longest_s - self.tokens_a_second)
        encode_s, decode_s, times_s = self._parts(jobs, CALL_STEPS + steps if steps else self._steps(longest_s))
        total_s = encode_s + decode_s + times_s
        ratio = _bounded(busy_s / total_s)
        told_s = results[0].encode_ms / 1000
        encode_ratio = _bounded(told_s / encode_s) if told_s and encode_s else ratio
        rest_ratio = _bounded((busy_s - told_s) / (total_s - encode_s)) if told_s < busy_s and told_s else ratio
        mean_s = sum(len(job.pcm) for job in jobs) / SAMPLE_RATE_HZ / len(jobs)
        self.scale *= ratio**SCALE_LEARNS
        self.encode.learn(mean_s, encode_ratio, 1.0 if told_s else encode_s / total_s)
        self.step.learn(len(jobs), rest_ratio, 1.0 if told_s else decode_s / total_s)
        if times_s:
            self.word_times.learn(mean_s, rest_ratio, times_s / (times_s + decode_s))

    def report(self) -> dict[str, Any]:
        """JSON-ready data for `/v1/status`: ms, by window length or number of windows."""
        return {
            "encode_ms": {f"{x:g}": round(1000 * y, 2) for x, y in self.encode.points().items()},
            "together": {f"{x:g}": round(y, 2) for x, y in self.together.points().items()},
            "step_ms": {f"{x:g}": round(1000 * y, 3) for x, y in self.step.points().items()},
            "word_times_ms": {f"{x:g}": round(1000 * y, 2) for x, y in self.word_times.points().items()},
            "scale": round(self.scale, 3),
            "tokens_a_second": round(self.tokens_a_second, 2),
            "batches": self.batches,
        }

    def _parts(self, jobs: Sequence[DecodeJob], steps: float) -> tuple[float, float, float]:
        lengths_s = [len(job.pcm) / SAMPLE_RATE_HZ for job in jobs]
        alone_s = sum(map(self.encode.at, lengths_s)) / len(jobs)
        timed = (s for s, job in zip(lengths_s, jobs, strict=True) if job.options.word_times)
        encode_s, decode_s = alone_s * self.together.at(len(jobs)), steps * self.step.at(len(jobs))
        return self.scale * encode_s, self.scale * decode_s, self.scale * sum(map(self.word_times.at, timed))

    def _steps(self, window_s: float) -> float:
        return CALL_STEPS + FIRST_STEPS + self.tokens_a_second * window_s


class CostBook:
    """The costs of each model of a backend. A model that was not measured counts as nearly free."""

    def __init__(self, main: str = "") -> None:
        self._main = main
        self._costs: dict[str, Costs] = {}

    def enter(self, model: str, costs: Costs, *, main: bool = False) -> None:
        self._costs[model] = costs
        if main:
            self._main = model

    @property
    def main(self) -> Costs:
        """The costs of the model that decodes finals."""
        return self.of(self._main)

    def of(self, model: str) -> Costs:
        return self._costs.get(model, UNKNOWN)

    def of_batch(self, jobs: Sequence[DecodeJob]) -> float:
        return self.of(jobs[0].options.model).of_batch(jobs)

    def observe(self, jobs: Sequence[DecodeJob], results: Sequence[DecodeResult], busy_s: float) -> None:
        """A batch was decoded: see `Costs.observe`. A model that was not measured learns nothing."""
        costs = self._costs.get(jobs[0].options.model)
        if costs is not None:
            costs.observe(jobs, results, busy_s)

    def report(self) -> dict[str, Any]:
        return {model: costs.report() for model, costs in self._costs.items()}


UNKNOWN = Costs(*(Curve({1.0: LEAST_S}) for _ in range(3)))


def _longest_s(jobs: Sequence[DecodeJob]) -> float:
    return max(len(job.pcm) for job in jobs) / SAMPLE_RATE_HZ


def _encode_s(one: Measured) -> float:
    return min(one.encode_s or one.total_s / 2, one.total_s)


def _rising(points: Mapping[float, float]) -> dict[float, float]:
    """The points made rising: more windows never take less time, even if a measurement was disturbed."""
    most, found = 0.0, {}
    for x in sorted(points):
        most = found[x] = max(most, points[x])
    return found


def _steps_of(one: Measured) -> float:
    return CALL_STEPS + (one.steps or FIRST_STEPS + TOKENS_A_SECOND * one.window_s)


def _bounded(ratio: float) -> float:
    return min(LARGEST_ERROR, max(1 / LARGEST_ERROR, ratio))
