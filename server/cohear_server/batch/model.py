"""The model of a run over files. It is found at once, and loaded only when there is something to decode."""

from __future__ import annotations

from dataclasses import replace

from ..engine.local import LocalBackend, suited
from ..engine.options import EngineOptions
from ..engine.results import identity_of
from ..engine.tail import FINE_STATES, STATE_S
from ..models.weights import only_language
from ..scheduling.throughput import MAX_WINDOW_S, ThroughputOptions
from .options import HearingOptions

CPU_BATCH, GPU_BATCH = 10, 48
"""most windows in a batch"""
CPU_BATCH_S = 100.0
"""Seconds of audio in a batch: eight windows of 8 s, five of 16 s, three that are padded to 30 s. Larger batches of
long windows are hardly quicker, and take more memory."""
CPU_STATES = int(CPU_BATCH_S / STATE_S)
"""The same bound in encoder states, for the groups that the engine forms by itself."""
CPU_POOLED, LANES = 5, 10
"""Windows may wait for `CPU_POOLED` windows in each of `LANES` batches, and in one more for each worker."""


class BatchModel:
    def __init__(self, options: EngineOptions) -> None:
        """`options` are those of a live engine; what files want otherwise is set here."""
        options = replace(suited(options), token_probabilities=False)
        # a GPU wants large batches more than windows of one length
        if options.device != "cuda":
            options = replace(options, filled_states=FINE_STATES, states_at_once=CPU_STATES)
        self.options = replace(options, one_heap=True)

    def backend(self) -> LocalBackend:
        """Not started yet. The first batch warms it up, because nobody waits for it more than for the others."""
        return LocalBackend(self.options, warm_up_s=())

    def throughput(self, batch_size: int = 0) -> ThroughputOptions:
        """For the policy of a run; 0 leaves the size of batches to it."""
        workers = self.options.workers
        on_gpu = self.options.device == "cuda"
        size, pooled = (GPU_BATCH, GPU_BATCH) if on_gpu else (CPU_BATCH, CPU_POOLED)
        return ThroughputOptions(
            max_batch=batch_size or size,
            max_batch_s=(batch_size or size) * MAX_WINDOW_S if on_gpu else CPU_BATCH_S,
            slots=workers,
            capacity=(batch_size or pooled) * (workers + LANES),
        )

    def settled(self, hearing: HearingOptions) -> HearingOptions:
        """The same, with its language told where the model has only one."""
        return replace(hearing, language=hearing.language or only_language(self.options.model_dir))

    def identity(self) -> str:
        """Of this model and how it runs; see `engine.results`."""
        return identity_of(self.options)
