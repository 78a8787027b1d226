"""The model of a run over files: found at once, loaded when there is something to decode."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..core.jobs import DecodeJob, DecodeResult
from ..decoding.catalog import SourceOptions, find_model
from ..decoding.engine import WhisperEngine
from ..decoding.local import attempt, suited
from ..decoding.options import EngineOptions
from ..decoding.profile import find_profile
from ..decoding.tail import FINE_STATES
from .heap import HeapKeeper, keep_one_heap
from .options import HearingOptions, ModelChoice
from .pool import PoolOptions

CPU_BATCH, GPU_BATCH = 10, 48
"""windows, at most"""
CPU_STATES = 5_000
"""decoded together, and so the memory of a batch: eight windows of 8 s, five of 16 s, three that are padded to 30 s.
Of long windows eight are 3 % quicker than five, and take 60 MB more a worker"""
CPU_POOLED, LANES = 5, 10
"""windows in each of so many batches that may be in the making, beside one a worker"""


class EngineDecoder:
    """An engine for `pipeline`: where a batch fails, its windows are decoded one by one."""

    def __init__(self, engine: WhisperEngine, heap: HeapKeeper) -> None:
        self.info = engine.info
        self._engine = engine
        self._heap = heap

    def decode(self, batch: Sequence[DecodeJob], temperature: float) -> list[DecodeResult]:
        try:
            return attempt(self._engine, list(batch), temperature)
        finally:
            self._heap.batch_done()

    def together(self, job: DecodeJob) -> int | None:
        return self._engine.together(job)

    def language_of(self, job: DecodeJob) -> str:
        return self._engine.language_of(job)


class BatchModel:
    def __init__(self, choice: ModelChoice) -> None:
        """Raises ClientError for a model that cannot be had."""
        found = find_model(choice.name, options=SourceOptions(choice.model_dir, choice.offline))
        self.name = found.name
        self._directory = found.directory
        self._sha256 = found.sha256
        options = suited(EngineOptions.of(found, choice.device, choice.compute_type, choice.workers, choice.threads))
        options = replace(options, token_probabilities=False)
        # a GPU wants large batches more than windows of one length
        if options.device != "cuda":
            options = replace(options, filled_states=FINE_STATES, states_at_once=CPU_STATES)
        self.options = options

    def load(self) -> EngineDecoder:
        """Raises ClientError(`bad_model`, `bad_profile`)."""
        keep_one_heap()
        heap = HeapKeeper(self.options.workers)
        padding = contextlib.nullcontext if self.options.device == "cuda" else heap.large_blocks
        return EngineDecoder(WhisperEngine(self.options, padding=padding), heap)

    def pool_options(self, batch_size: int = 0) -> PoolOptions:
        """Of a pool for this model; 0 leaves the size of batches to it."""
        size, pooled = (GPU_BATCH, GPU_BATCH) if self.options.device == "cuda" else (CPU_BATCH, CPU_POOLED)
        workers = self.options.workers
        capacity = (batch_size or pooled) * (workers + LANES)
        return PoolOptions(capacity=capacity, max_batch=batch_size or size, workers=workers)

    def fingerprint(self, hearing: HearingOptions) -> str:
        """Of this model, how it runs, and `hearing`."""
        sha256 = self._sha256 or _sha256(self._directory / "model.bin")
        profile = find_profile(self.name, self.options.profile_dir)
        windows = "padded" if profile is None else f"{profile.silence_ms} {profile.tail_states} {profile.short_windows}"
        return hearing.fingerprint(f"{sha256} {windows}", self.options.device, self.options.compute_type)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
