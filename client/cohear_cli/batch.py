"""The command line's way into `cohear_server.batch`: from flags to a run over files in this process."""

from __future__ import annotations

import argparse
import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cohear_client.errors import ClientError

from .flags import wants_word_times
from .stdio import say
from .usage import choice

if TYPE_CHECKING:
    from cohear_server.batch.options import HearingOptions
    from cohear_server.batch.pipeline import Pipeline
    from cohear_server.config import ServerConfig
    from cohear_server.engine.cache import Cache


@contextlib.contextmanager
def open_run(args: argparse.Namespace) -> Iterator[Pipeline]:
    """Raises ClientError for a model or a setting that cannot be had."""
    from cohear_server.batch.memory import Memory
    from cohear_server.batch.model import BatchModel
    from cohear_server.batch.pipeline import Pipeline
    from cohear_server.config import load
    from cohear_server.live.backend import engine_options

    logging.basicConfig(level=logging.WARNING, format="cohear: %(message)s")
    config = load(args)
    model = BatchModel(engine_options(config, config.model))
    hearing = model.settled(hearing_options(args))
    cache = None if args.no_cache else _cache(config)
    args.no_cache = cache is None  # what is said of an interrupted run depends on it
    try:
        memory = Memory(cache, model.identity() if cache else "", hearing)
        yield Pipeline(model.backend(), hearing, model.throughput(args.batch_size), memory)
    finally:
        if cache is not None:
            cache.close()


def _cache(config: ServerConfig) -> Cache | None:
    """None where there can be none: the run goes on without."""
    from cohear_server.engine.cache import open_cache

    try:
        return open_cache(config.cache_dir, config.cache_limit_mb)
    except ClientError as fault:
        say(f"cohear: {fault.message}: nothing of this run is remembered")
        return None


def hearing_options(args: argparse.Namespace) -> HearingOptions:
    """What the flags say of hearing."""
    from cohear_server.batch.options import HearingOptions
    from cohear_server.core.jobs import Fallback

    first, step = args.temperature, args.temperature_increment_on_fallback
    steps = int((1.0 - first) / step + 1e-6) if step else 0
    return HearingOptions(
        language=args.language,
        languages=args.languages,
        task=args.task,
        choice=choice(args),
        prompt=args.prompt or "",
        hotwords=", ".join(args.hotwords),
        beam_size=args.beam_size,
        word_times=wants_word_times(args),
        temperature=first,
        fallback=Fallback(
            tuple(round(first + step * (n + 1), 3) for n in range(steps)),
            compression_ratio=args.compression_ratio_threshold,
            logprob=args.logprob_threshold,
            no_speech_prob=args.no_speech_threshold,
        ),
        vad="silero" if args.vad_filter else "none",
    )
