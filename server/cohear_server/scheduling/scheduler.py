"""Which waiting windows of live streams are decoded next, and together. A pure decision: no clock, no I/O, no engine.

A stream has at most one waiting partial, the newest, and its waiting finals in order. What goes into a free slot:

1. Finals that must begin now to be ready when they are due. The finals that would be next go with them, because two in
   one batch cost less than one after the other.
2. Partials. While the engine is at work, a few of them wait for more to come, as long as they have time.
3. Finals that are not due yet. They are speculative: many of them are cancelled because speech goes on. An idle engine
   has them ready in time, and a busy engine does not spend time on them.
4. Windows of whole files, when no job of a stream waits (`bulk`).

Within a class the earliest deadline comes first, and among equals the tenant that was served least (`fairness`). A
batch is of one class, because a final would wait for the encoding of the partials. Its size, how long partials wait and
when a final must begin follow from the cost model (`costs`, `tuning`).

Finals are never dropped; a partial is dropped when its own stream sends a newer one. So memory is bounded by the
sessions: a slot each, and finals only as far as `Session.backlog_s` lets the connection read on.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, JobKind
from .batching import batch_key, length_class
from .bulk import BulkLane, BulkOptions
from .costs import CostBook
from .fairness import FairShare, equal_shares
from .tuning import MOST, Tuner, Tuning

DEADLINE_SLOT_S = 0.05
"""Deadlines this close together count as equal, and fair share decides between them."""


@dataclass(frozen=True, slots=True)
class SchedulerOptions:
    """The operator's limits; within them the cost model decides the size of batches."""

    max_batch: int = MOST
    max_batch_s: float = 1_000.0
    """most seconds of audio in a batch: bounds its memory"""


@dataclass(slots=True)
class _Waiting:
    job: DecodeJob
    due_s: float
    order: int

    @property
    def window_s(self) -> float:
        return len(self.job.pcm) / SAMPLE_RATE_HZ


@dataclass(slots=True)
class _Lane:
    """The waiting jobs of one session."""

    partial: _Waiting | None = None
    finals: deque[_Waiting] = field(default_factory=deque)
    partials_decoding: int = 0

    @property
    def empty(self) -> bool:
        return not (self.partial or self.finals or self.partials_decoding)


class Scheduler:
    def __init__(
        self,
        options: SchedulerOptions,
        costs: CostBook | None = None,
        tuner: Tuner | None = None,
        share: Callable[[str], float] = equal_shares,
        slots: int = 1,
    ) -> None:
        """`share` is the share of each tenant; `slots` batches are decoded at the same time."""
        self.options = options
        self.window_steps_s: Mapping[str, tuple[float, ...]] = {}
        """by model: only windows between the same two steps share a batch (see `ModelInfo`)"""
        self.replaced = 0
        """partials that were replaced by a newer one of the same stream"""
        self._costs = costs or CostBook()
        self._tuner = tuner or Tuner(self._costs, options.max_batch)
        self._fair = FairShare(share)
        self._lanes: dict[str, _Lane] = {}
        self._bulk = BulkLane(BulkOptions(slots, options.max_batch, options.max_batch_s), self._costs, self._key, share)
        self._live_s = -math.inf
        """when a stream last submitted something"""
        self._order = 0

    @property
    def tuning(self) -> Tuning:
        return self._tuner.now

    def __len__(self) -> int:
        return self._live() + len(self._bulk)

    def depth(self) -> dict[JobKind, int]:
        """How many jobs of each kind wait."""
        lanes = self._lanes.values()
        partials = sum(lane.partial is not None for lane in lanes)
        finals = sum(len(lane.finals) for lane in lanes)
        return {JobKind.PARTIAL: partials, JobKind.FINAL: finals, JobKind.BULK: len(self._bulk)}

    def submit(self, job: DecodeJob, now_s: float) -> DecodeJob | None:
        """Add a job. Returns the partial that it replaces, which will not be decoded."""
        if job.kind is JobKind.BULK:
            self._bulk.submit(job, now_s)
            return None
        self._live_s = now_s
        lane = self._lanes.setdefault(job.session_id, _Lane())
        self._order += 1
        waiting = _Waiting(job, now_s + job.deadline_s, self._order)
        self._fair.waits(job.tenant, now_s)
        if job.kind is not JobKind.PARTIAL:
            lane.finals.append(waiting)
            return None
        old, lane.partial = lane.partial, waiting
        if old is None:
            return None
        self.replaced += 1
        self._fair.waits_no_more(job.tenant)
        # the newer window keeps the older one's deadline, or a busy stream would never get its turn
        waiting.due_s = min(waiting.due_s, old.due_s)
        return old.job

    def cancel(self, job_id: str, session_id: str) -> bool:
        """Forget a job that still waits. False if it is not waiting (any more)."""
        if self._bulk.cancel(job_id):
            return True
        lane = self._lanes.get(session_id, _Lane())
        for waiting in (*lane.finals, *((lane.partial,) if lane.partial else ())):
            if waiting.job.id == job_id:
                self._take(waiting)
                self._tidy(session_id)
                return True
        return False

    def next_batch(self, now_s: float, busy: int = 0) -> list[DecodeJob]:
        """The jobs to decode now, taken out of the queue; empty if none should be. All share one `batch_key`.

        `busy` batches are in the engine already; no partial is held back for those of files. Jobs that are held back
        get their chance when a batch ends."""
        at_work = busy - self._bulk.decoding
        for ranked in self._ranked(now_s):
            batch = self._fill(ranked) if ranked else []
            if batch and not (at_work and self._may_wait(batch, now_s)):
                for waiting in batch:
                    self._begin(waiting, now_s)
                return [waiting.job for waiting in batch]
        return [] if self._live() else self._bulk.next_batch(now_s, now_s - self._live_s)

    def finished(self, batch: list[DecodeJob]) -> None:
        """These jobs are decoded; their streams may have another partial decoded."""
        if batch[0].kind is JobKind.BULK:
            self._bulk.finished()
        for job in batch:
            if job.kind is JobKind.PARTIAL:
                self._lanes[job.session_id].partials_decoding -= 1
                self._tidy(job.session_id)

    def _live(self) -> int:
        """Jobs of streams that wait."""
        return sum(len(lane.finals) + (lane.partial is not None) for lane in self._lanes.values())

    def _ranked(self, now_s: float) -> Iterator[list[_Waiting]]:
        """What may go now, class by class, each made only when it is asked for."""

        def rank(waiting: _Waiting) -> tuple[int, float, float, int]:
            # everything overdue is equally urgent: under overload the tenants' shares decide
            slot = max(0, int((waiting.due_s - now_s) / DEADLINE_SLOT_S))
            return slot, self._fair.rank(waiting.job.tenant), waiting.due_s, waiting.order

        lanes = self._lanes.values()
        urgent: list[_Waiting] = []
        early: list[_Waiting] = []
        for final in sorted((waiting for lane in lanes for waiting in lane.finals), key=rank):
            (urgent if self._must_begin(final, now_s) else early).append(final)
        yield urgent and urgent + early
        # one partial of a stream at a time: a second one would not know what the first commits
        yield sorted((lane.partial for lane in lanes if lane.partial and not lane.partials_decoding), key=rank)
        yield early

    def _must_begin(self, final: _Waiting, now_s: float) -> bool:
        return final.due_s - self._costs.of_batch([final.job]) - now_s <= self.tuning.urgent_s

    def _may_wait(self, batch: list[_Waiting], now_s: float) -> bool:
        few = batch[0].job.kind is JobKind.PARTIAL and len(batch) < min(self.tuning.few, self.options.max_batch)
        return few and batch[0].due_s - now_s > self.tuning.slack_s

    def _fill(self, ranked: list[_Waiting]) -> list[_Waiting]:
        """The first job, and all others that may share its batch and are worth the time."""
        key = self._key(ranked[0].job)
        batch: list[_Waiting] = []
        for waiting in ranked:
            if self._key(waiting.job) != key:
                continue
            if batch and not self._fits([*batch, waiting]):
                break
            batch.append(waiting)
        return batch

    def _fits(self, batch: list[_Waiting]) -> bool:
        size, audio_s = len(batch), sum(waiting.window_s for waiting in batch)
        if size > min(self.tuning.batch, self.options.max_batch) or audio_s > self.options.max_batch_s:
            return False
        costs = self._costs.of(batch[0].job.options.model)
        return costs.seconds(size, audio_s / size) <= self.tuning.longest_s

    def _key(self, job: DecodeJob) -> tuple[object, ...]:
        return *batch_key(job), length_class(job, self.window_steps_s.get(job.options.model, ()))

    def _begin(self, waiting: _Waiting, now_s: float) -> None:
        self._take(waiting)
        self._fair.serve(waiting.job.tenant, waiting.window_s, now_s)
        if waiting.job.kind is JobKind.PARTIAL:
            self._lanes[waiting.job.session_id].partials_decoding += 1
        self._tidy(waiting.job.session_id)

    def _take(self, waiting: _Waiting) -> None:
        lane = self._lanes[waiting.job.session_id]
        if lane.partial is waiting:
            lane.partial = None
        else:
            # by identity: `remove` compares, and arrays in jobs cannot be
            lane.finals = deque(other for other in lane.finals if other is not waiting)
        self._fair.waits_no_more(waiting.job.tenant)

    def _tidy(self, session_id: str) -> None:
        if self._lanes[session_id].empty:
            del self._lanes[session_id]
