"""Jobs for the tests of engines."""

from __future__ import annotations

from typing import Any

import numpy as np
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, JobKind
from numpy.typing import NDArray


def make_job(pcm: NDArray[np.int16], job_id: str = "job", **options: Any) -> DecodeJob:
    """`options` are fields of DecodeOptions."""
    return DecodeJob(job_id, "session", "tenant", 0, pcm, JobKind.FINAL, 1.0, DecodeOptions("any", **options))


def noise(seconds: float, seed: int = 0) -> NDArray[np.int16]:
    samples = np.random.default_rng(seed).normal(0, 3000, int(seconds * SAMPLE_RATE_HZ))
    return samples.clip(-32768, 32767).astype(np.int16)
