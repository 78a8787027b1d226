"""Which flags of `cohear transcribe` hold only in this process, and which only with a server (`--url`).

A flag that would do nothing is an error: who passes it believes that it does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

IN_PROCESS = (
    "word_timestamps",
    "vad_filter",
    "beam_size",
    "temperature",
    "temperature_increment_on_fallback",
    "compression_ratio_threshold",
    "logprob_threshold",
    "no_speech_threshold",
    "batch_size",
    "model_dir",
    "offline",
    "device",
    "compute_type",
    "workers",
    "threads",
    "cache_dir",
    "cache_limit_mb",
)
WITH_SERVER = ("endpoint_ms", "key", "jobs")


def misplaced(args: argparse.Namespace, default: Callable[[str], object]) -> str | None:
    """What is wrong with the flags; None when all of them hold. `default` is that of each name."""
    names, where = (IN_PROCESS, "without --url: a server has its own") if args.url else (WITH_SERVER, "with --url")
    for name in names:
        if getattr(args, name, default(name)) != default(name):
            return f"--{name.replace('_', '-')} only works {where}"
    return None
