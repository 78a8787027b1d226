"""The model of a run over files: found at once, loaded when there is something to decode."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from ..core.jobs import DecodeJob, DecodeResult
from ..decoding.catalog import SourceOptions, find_model
from ..decoding.engine import WhisperEngine
from ..decoding.local import attempt, suited
from ..decoding.options import Device, EngineOptions
from ..decoding.profile import find_profile
from ..decoding.tail import FINE_STATES
from .heap import HeapKeeper, keep_one_heap
from .options import HearingOptions, ModelChoice
from .pool import PoolOptions

CPU_BATCH, GPU_BATCH = 5, 48
"""windows. On a CPU 16 or 32 are no quicker, and 3 are 5 to 10 % slower"""
CPU_STATES = 4_500
"""decoded together: five windows of 14 s, but only three of those that are padded to 30 s"""
LANES = 10
"""batches that may be in the making, beside one a worker"""


class EngineDecoder:
    """An engine for `pipeline`: where a batch fails, its windows are decoded one by one."""

    def __init__(self, engine: WhisperEngine) -> None:
        self.info = engine.info
        self._engine = engine
        self._heap = HeapKeeper(engine.options.workers)

    def decode(self, batch: Sequence[DecodeJob], temperature: float) -> list[DecodeResult]:
        try:
            return attempt(self._engine, list(batch), temperature)
        finally:
            self._heap.batch_done()

    def language_of(self, job: DecodeJob) -> str:
        return self._engine.language_of(job)


class BatchModel:
    def __init__(self, choice: ModelChoice) -> None:
        """Raises ClientError for a model that cannot be had."""
        found = find_model(choice.name, options=SourceOptions(choice.model_dir, choice.offline))
        self.name = found.name
        self._directory = found.directory
        self._sha256 = found.sha256
        options = suited(
            EngineOptions(
                model_name=found.name,
                model_dir=found.directory,
                device=cast(Device, choice.device),
                compute_type=choice.compute_type,
                workers=choice.workers,
                threads=choice.threads,
                model_sha256=found.sha256,
                token_probabilities=False,
            )
        )
        # a GPU wants large batches more than windows of one length
        if options.device != "cuda":
            options = replace(options, filled_states=FINE_STATES, states_at_once=CPU_STATES)
        self.options = options

    def load(self) -> EngineDecoder:
        """Raises ClientError(`bad_model`, `bad_profile`)."""
        keep_one_heap()
        return EngineDecoder(WhisperEngine(self.options))

    def pool_options(self, batch_size: int = 0) -> PoolOptions:
        """Of a pool for this model; 0 leaves the size of batches to it."""
        size = batch_size or (GPU_BATCH if self.options.device == "cuda" else CPU_BATCH)
        workers = self.options.workers
        return PoolOptions(capacity=size * (workers + LANES), max_batch=size, workers=workers)

    def fingerprint(self, hearing: HearingOptions) -> str:
        """Of this model, how it runs, and `hearing`."""
        sha256 = self._sha256 or _sha256(self._directory / "model.bin")
        profile = find_profile(self.name, self.options.profile_dir)
        windows = "padded" if profile is None else f"{profile.silence_ms} {profile.tail_states} {profile.short_windows}"
        return hearing.fingerprint(f"{sha256} {windows}", self.options.device, self.options.compute_type)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
