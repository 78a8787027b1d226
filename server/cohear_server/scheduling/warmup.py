"""Measures the costs before the first client, in about a second: with batches of noise of growing size.

It is a first guess: noise is not speech, and the machine may be busy with other things. Later batches correct it (see
`costs`). All slots of the engine are busy meanwhile, as they are under load.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, JobKind
from ..engine.backend import DecodeBackend, ModelInfo
from .costs import Costs, Measured

logger = logging.getLogger(__name__)

SIZES = (1, 2, 4, 8, 16, 32, 64)
WINDOW_S, LONG_WINDOW_S = 2.0, 6.0
TRIES = 2
"""the fastest try counts: other programs may use a machine that starts up"""
ENOUGH_S = 0.25
"""A batch that takes longer is tried once, and no larger one is tried: a slow model must not keep the first client
waiting. Two sizes are always measured, because a curve needs two points."""
LONGEST_S = 10.0
"""for one window: a longer one is not waited for, and it counts as this long"""
SLOW_S = 1.0
"""if one window takes longer, nothing else is measured; two are assumed to take twice as long until some were
decoded"""


async def measure(backend: DecodeBackend, model: ModelInfo, clock: Callable[[], float]) -> Costs:
    """The costs of this model of the backend. Raises BackendUnavailable."""
    try:
        async with asyncio.timeout(LONGEST_S):
            long = await _quickest(backend, model, 1, LONG_WINDOW_S, clock)
    except TimeoutError:
        logger.warning("%s takes more than %.0f s for a window of %.0f s", model.name, LONGEST_S, LONG_WINDOW_S)
        long = Measured(1, LONG_WINDOW_S, LONGEST_S)
    if long.total_s > SLOW_S:
        return Costs.of([long, replace(long, windows=2, total_s=2 * long.total_s, encode_s=2 * long.encode_s)])
    measured = [long]
    for size in SIZES:
        measured.append(await _quickest(backend, model, size, WINDOW_S, clock))
        if size > 1 and measured[-1].total_s > ENOUGH_S:
            break
    return Costs.of(sorted(measured, key=lambda one: (one.window_s, one.windows)))


async def _quickest(
    backend: DecodeBackend, model: ModelInfo, windows: int, window_s: float, clock: Callable[[], float]
) -> Measured:
    best = Measured(windows, window_s, math.inf)
    for _ in range(TRIES):
        spent_s = time.process_time()
        tries = (_once(backend, _batch(model, windows, window_s, slot), clock) for slot in range(backend.slots))
        quickest = min(await asyncio.gather(*tries), key=lambda one: one.total_s)
        if model.device == "cpu":
            quickest = _undisturbed(quickest, (time.process_time() - spent_s) / backend.slots)
        best = min(best, quickest, key=lambda one: one.total_s)
        if best.total_s > ENOUGH_S:
            break
    return best


def _undisturbed(measured: Measured, spent_s: float) -> Measured:
    """The measurement without the time in which other programs had the cores."""
    share = min(1.0, spent_s / measured.total_s) if measured.total_s else 1.0
    return replace(measured, total_s=share * measured.total_s, encode_s=share * measured.encode_s)


async def _once(backend: DecodeBackend, batch: list[DecodeJob], clock: Callable[[], float]) -> Measured:
    begun_s = clock()
    results = await backend.decode(batch)
    took_s = clock() - begun_s - results[0].wait_ms / 1000
    steps = max(result.steps for result in results)
    return Measured(len(batch), len(batch[0].pcm) / SAMPLE_RATE_HZ, took_s, results[0].encode_ms / 1000, steps)


def _batch(model: ModelInfo, windows: int, window_s: float, slot: int) -> list[DecodeJob]:
    noise = np.random.default_rng(slot).normal(0, 1_000, int(window_s * SAMPLE_RATE_HZ)).astype(np.int16)
    options = DecodeOptions(model.name, model.languages[0])
    ids = (f"warm-up {slot} {i}" for i in range(windows))
    return [DecodeJob(job_id, "", "", 0, noise, JobKind.PARTIAL, 1.0, options) for job_id in ids]
