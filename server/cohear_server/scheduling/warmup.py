"""What continuous speech will cost this engine, measured before the first client: a batch of noise is decoded.

A first guess, which `load` gives up for what it measures. Noise costs its encoding but hardly any text, and one model
may hear more in it than another: tiny.en took 0.26 of base's time for it, and 0.39 to 0.45 for speech.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, JobKind
from ..engine.backend import DecodeBackend, ModelInfo

WINDOW_S = 3.0
BATCH = 8
TRIES = 3
"""the quickest counts: others may be at work on a machine that starts up"""
LONG_S = 1.0
"""a batch that takes longer is measured once: a large model would keep the first client waiting for minutes"""
WINDOWS_A_SECOND = 2.7
"""partials, and finals counted as partials, of a stream that speaks without pause (measured)"""
TEXT_FACTOR = 2.0
"""a window of speech against one of noise (measured: encode 18 ms, text 20 ms at 3 s)"""


async def speech_cost(backend: DecodeBackend, model: ModelInfo, clock: Callable[[], float]) -> float:
    """Engine seconds in a second of one stream that speaks without pause, on this model of the backend.

    Raises BackendUnavailable."""
    noise = np.random.default_rng(1).normal(0, 1_000, int(WINDOW_S * SAMPLE_RATE_HZ)).astype(np.int16)
    options = DecodeOptions(model.name, model.languages[0])
    batch = [DecodeJob(f"warm-up {i}", "", "", 0, noise, JobKind.PARTIAL, 1.0, options) for i in range(BATCH)]
    took_s = math.inf
    for _ in range(TRIES):
        begun_s = clock()
        await backend.decode(batch)
        took_s = min(took_s, clock() - begun_s)
        if took_s > LONG_S:
            break
    return took_s / BATCH * TEXT_FACTOR * WINDOWS_A_SECOND
