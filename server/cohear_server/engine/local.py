"""The backend in this process: the engine in a pool of threads, one batch in each thread.

CTranslate2 and numpy release the GIL, so the event loop keeps running. Nothing is queued here: the
caller gives it at most `slots` batches at a time (see `scheduling`), because none can be cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, JobKind
from ..errors import BackendUnavailable, ServerError
from .backend import ModelInfo
from .engine import WhisperEngine
from .guard import GuardOptions
from .heap import HeapKeeper, keep_one_heap
from .options import EngineOptions
from .tally import TALLY
from .whisper import cuda_devices
from .workers import Workers

__all__ = ["EngineOptions", "LocalBackend"]

logger = logging.getLogger(__name__)

WARM_UP_S = (1.0, 6.0)
"""Lengths of the windows that each worker decodes before it serves: those of a partial and of a final."""


class LocalBackend:
    def __init__(
        self, options: EngineOptions, guard: GuardOptions | None = None, *, warm_up_s: Sequence[float] = WARM_UP_S
    ) -> None:
        """`warm_up_s`: lengths of the windows that each worker decodes before it is ready."""
        self.options = options = suited(options)
        self._guard = guard
        self._warm_up_s = warm_up_s
        self._workers = Workers(options.workers)
        self._engine: WhisperEngine | None = None
        self._heap: HeapKeeper | None = None
        if options.one_heap:
            keep_one_heap()  # now: threads that are there already have heaps of their own
            self._heap = HeapKeeper(options.workers)

    @property
    def slots(self) -> int:
        return self.options.workers

    @property
    def model(self) -> ModelInfo:
        return self._ready().info

    async def start(self) -> None:
        """Does nothing if it was started before. Raises ClientError(`bad_model`, `bad_profile`), or BackendUnavailable
        if the loaded model does not run."""
        if self._engine is not None:
            return
        engine = await self._workers.run(self._load)
        batch = _warm_up_batch(engine.info, self._warm_up_s)
        warm_ups = [self._workers.run(partial(engine.decode, batch)) for _ in range(self.slots)]
        try:
            await asyncio.gather(*warm_ups)
        except (RuntimeError, ValueError) as fault:  # CTranslate2's, such as a missing CUDA library
            raise BackendUnavailable(f"the model loads but does not decode: {fault}") from fault
        self._engine = engine

    async def decode(self, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        engine = self._ready()
        return await self._workers.run(partial(self._decode, engine, list(batch), time.monotonic()))

    async def aclose(self) -> None:
        """Idempotent. Waits for batches in the engine, for a limited time. Later calls raise BackendUnavailable."""
        self._engine = None
        await self._workers.aclose()

    def _ready(self) -> WhisperEngine:
        if self._engine is None:
            raise BackendUnavailable("the engine is not running", "start the backend first; a closed one stays closed")
        return self._engine

    def _load(self) -> WhisperEngine:
        if self._heap is None:
            return WhisperEngine(self.options, self._guard)
        padding = contextlib.nullcontext if self.options.device == "cuda" else self._heap.large_blocks
        return WhisperEngine(self.options, self._guard, padding=padding)

    def _decode(self, engine: WhisperEngine, batch: list[DecodeJob], posted_s: float) -> list[DecodeResult]:
        begun_s = time.monotonic()
        TALLY.begin()
        results = attempt(engine, batch)
        if self._heap is not None:
            self._heap.batch_done()
        done_s = time.monotonic()
        return [
            replace(
                result,
                wait_ms=1000 * (begun_s - posted_s),
                decode_ms=1000 * (done_s - begun_s),
                batch_size=len(batch),
                encode_ms=1000 * TALLY.encode_s,
                steps=TALLY.steps,
            )
            for result in results
        ]


def suited(options: EngineOptions) -> EngineOptions:
    """The options with all that was left open chosen for this machine: a GPU if there is one; int8 on a CPU and float16
    on a GPU; on a CPU a worker for each core, because batches save little in the encoder there; on a GPU one."""
    device = options.device
    if device == "auto":
        device = "cuda" if cuda_devices() else "cpu"
    compute_type = options.compute_type
    if compute_type == "default":
        compute_type = "float16" if device == "cuda" else "int8"
    workers = options.workers or (1 if device == "cuda" else len(os.sched_getaffinity(0)))
    return replace(options, device=device, compute_type=compute_type, workers=workers)


def attempt(engine: WhisperEngine, batch: list[DecodeJob]) -> list[DecodeResult]:
    """Decode together. If that fails, decode one at a time, so that only the job at fault has no result."""
    try:
        return engine.decode(batch)
    except Exception as fault:  # the engine's boundary: the libraries below raise anything; other jobs must not suffer
        logger.exception("a batch of %d windows failed", len(batch))
        if len(batch) > 1:
            return [result for job in batch for result in attempt(engine, [job])]
        error = ServerError("decode_failed", f"this window could not be decoded: {fault}", "send it again")
        return [DecodeResult(batch[0].id, error=error)]


def _warm_up_batch(info: ModelInfo, lengths_s: Sequence[float]) -> list[DecodeJob]:
    noise = np.random.default_rng(0)
    options = DecodeOptions(info.name, language=info.languages[0])
    return [
        DecodeJob(
            id=f"warm-up-{seconds}",
            session_id="",
            tenant="",
            segment_id=0,
            pcm=noise.integers(-3000, 3000, int(seconds * SAMPLE_RATE_HZ), dtype=np.int16),
            kind=JobKind.PARTIAL,
            deadline_s=0.0,
            options=options,
        )
        for seconds in lengths_s
    ]
