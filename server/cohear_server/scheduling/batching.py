"""Which windows may share a batch. Both policies use it: that of live streams and that of files."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob


def batch_key(job: DecodeJob) -> tuple[object, ...]:
    """Jobs with equal keys may share a batch. Languages, tasks and the wish for word times may differ; all else must
    agree (CTranslate2: one set of options for a call, the same number of prompt tokens in each item). Second tries,
    which are padded or of another temperature, share batches only with their like."""
    options, again = job.options, job.second_try
    special = again and (again.padded, again.prompted, again.temperature)
    before = options.hotwords, options.prompt
    return job.kind, options.model, options.beam_size, before, options.temperature, special


def length_class(job: DecodeJob, steps_s: Sequence[float]) -> int:
    """The class of the window's length between these steps; windows of one class cost the same (see `ModelInfo`)."""
    return bisect_left(steps_s, len(job.pcm) / SAMPLE_RATE_HZ)
