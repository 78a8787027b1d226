"""Windows of whole files, beside live streams on one engine: which are decoded, and together, when no stream waits.

Nobody waits for a single window of a file, so these get what streams leave. Nothing in the engine can be taken back,
so what is given to it must be short, and while anybody streams one slot stays free of files, where there are several.
Among files the tenant who had least comes first, then the oldest window. A pure decision, as `scheduler`, which asks
this one last; `throughput` is the policy where there are files alone. Whoever submits bounds how much waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob
from .costs import CostBook
from .fairness import FairShare, equal_shares

LIVE_S = 3.0
"""since a stream last asked for something: somebody is streaming, and may speak again at any moment"""

BESIDE_S = 0.15
"""A batch of files is no longer than this while somebody streams, if it can be shorter: what comes next of a stream may
have to wait for it."""

ALONE_S = 0.3
"""And than this otherwise: whoever begins to stream waits for it once."""


@dataclass(frozen=True, slots=True)
class BulkOptions:
    slots: int = 1
    """batches that the engine works on at the same time"""
    max_batch: int = 64
    max_batch_s: float = 1_000.0
    """seconds of audio in a batch"""


class BulkLane:
    def __init__(
        self,
        options: BulkOptions,
        costs: CostBook,
        key: Callable[[DecodeJob], tuple[object, ...]],
        share: Callable[[str], float] = equal_shares,
    ) -> None:
        """Jobs of one `key` may share a batch; `share` is what each tenant is to have."""
        self._options = options
        self._costs = costs
        self._key = key
        self._fair = FairShare(share)
        self._waiting: dict[str, DecodeJob] = {}
        """by the job's id, oldest first"""
        self.decoding = 0
        """batches in the engine"""

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, job: DecodeJob, now_s: float) -> None:
        self._waiting[job.id] = job
        self._fair.waits(job.tenant, now_s)

    def cancel(self, job_id: str) -> bool:
        """Forget a job that still waits. False if it is not waiting (any more)."""
        return self._take(job_id) is not None

    def next_batch(self, now_s: float, idle_s: float) -> list[DecodeJob]:
        """The jobs to decode now, taken out of the lane; empty if none should be. Streams have asked for nothing for
        `idle_s`."""
        live = idle_s < LIVE_S
        slots = max(1, self._options.slots - live)
        if not self._waiting or self.decoding >= slots:
            return []
        batch = self._fill(BESIDE_S if live else ALONE_S)
        for job in batch:
            self._take(job.id)
            self._fair.serve(job.tenant, len(job.pcm) / SAMPLE_RATE_HZ, now_s)
        self.decoding += 1
        return batch

    def finished(self) -> None:
        """The engine is through with one of the batches."""
        self.decoding -= 1

    def _fill(self, longest_s: float) -> list[DecodeJob]:
        """The first, and of those behind it all that may share its call within the time."""
        ranked = sorted(self._waiting.values(), key=lambda job: self._fair.rank(job.tenant))  # stable: the oldest first
        batch, key = ranked[:1], self._key(ranked[0])
        audio_s = len(ranked[0].pcm) / SAMPLE_RATE_HZ
        for job in ranked[1:]:
            if self._key(job) != key:
                continue
            audio_s += len(job.pcm) / SAMPLE_RATE_HZ
            full = len(batch) >= self._options.max_batch or audio_s > self._options.max_batch_s
            if full or self._costs.of_batch([*batch, job]) > longest_s:
                break
            batch.append(job)
        return batch

    def _take(self, job_id: str) -> DecodeJob | None:
        job = self._waiting.pop(job_id, None)
        if job is not None:
            self._fair.waits_no_more(job.tenant)
        return job
