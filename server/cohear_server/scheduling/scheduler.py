"""Which waiting windows are decoded next, and together. A pure decision: no clock, no I/O, no engine.

    submit --> one partial slot a session (newest wins)  --+
           --> a FIFO of finals a session                --+--> next_batch: finals that are due, partials,
           --> refinements                               --+    finals not yet due, refinements; of each the
                                                                earliest deadline, then the tenant that had least

A final that is not due yet is a guess that its speaker has come to the end, and half of them are taken back. It is
decoded when nothing else waits, so an idle engine has it ready, and a busy one loses nothing to guesses.

Memory is bounded by the sessions: a slot each, and finals only as far as `Session.backlog_s` lets
the connection read on. Finals are never dropped; a partial is dropped when its own stream sends a newer one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, JobKind

DEADLINE_SLOT_S = 0.05
"""Deadlines this close together count as equal, and fair share decides between them."""

URGENT_S = 0.12
"""a final that must be begun this soon goes before all partials: its endpoint is known, or about to be"""

FINAL_S_A_SECOND = 0.015
"""Engine seconds for a second of a final, until finals have been decoded (8 s with word times, alone on one core: 0.11
s). It must be begun that much earlier to be ready in time."""

LEARNT_SHARE = 0.1
"""of each final, in what is known of their cost"""

LARGEST_RISE = 2.0
"""a final that is decoded a second time counts as no more than so many"""

FEW_PARTIALS = 8
"""fewer than this cost more each: 4 a tenth, 2 two fifths, 1 nearly twice as much (bench/engine.py)"""

PARTIAL_SLACK_S = 0.25
"""a partial that is due this soon is not held back for others"""


@dataclass(frozen=True, slots=True)
class SchedulerOptions:
    max_batch: int = 8
    """most of the decoder's gain from batching is there at 8 (measured, CPU)"""
    max_batch_s: float = 30.0
    """seconds of audio in a batch: nothing posted can be taken back, so this bounds how long a final waits behind it"""


@dataclass(slots=True)
class _Waiting:
    job: DecodeJob
    due_s: float
    submitted_s: float
    order: int


@dataclass(slots=True)
class _Lane:
    """The waiting jobs of one session."""

    partial: _Waiting | None = None
    finals: deque[_Waiting] = field(default_factory=deque)
    refines: deque[_Waiting] = field(default_factory=deque)
    partials_decoding: int = 0

    @property
    def empty(self) -> bool:
        return not (self.partial or self.finals or self.refines or self.partials_decoding)


class Scheduler:
    def __init__(self, options: SchedulerOptions) -> None:
        self.options = options
        self.window_steps_s: Mapping[str, tuple[float, ...]] = {}
        """by model: windows between two of these cost it alike, and only such are put together (see `ModelInfo`)"""
        self.replaced = 0
        """partials that a newer one of the same stream made needless"""
        self._lanes: dict[str, _Lane] = {}
        self._served_s: defaultdict[str, float] = defaultdict(float)
        self._order = 0
        self._final_s_a_second = FINAL_S_A_SECOND

    def __len__(self) -> int:
        return sum(len(lane.finals) + len(lane.refines) + (lane.partial is not None) for lane in self._lanes.values())

    def depth(self) -> dict[JobKind, int]:
        """How many jobs of each kind wait."""
        lanes = self._lanes.values()
        return {
            JobKind.PARTIAL: sum(lane.partial is not None for lane in lanes),
            JobKind.FINAL: sum(len(lane.finals) for lane in lanes),
            JobKind.REFINE: sum(len(lane.refines) for lane in lanes),
        }

    def submit(self, job: DecodeJob, now_s: float) -> DecodeJob | None:
        """Take a job in. Returns the partial that it replaces, which will not be decoded."""
        lane = self._lanes.setdefault(job.session_id, _Lane())
        self._order += 1
        waiting = _Waiting(job, now_s + job.deadline_s, now_s, self._order)
        if job.kind is not JobKind.PARTIAL:
            (lane.finals if job.kind is JobKind.FINAL else lane.refines).append(waiting)
            return None
        old, lane.partial = lane.partial, waiting
        if old is None:
            return None
        self.replaced += 1
        # the newer window takes over the older one's place, or a busy stream would never come to its turn
        waiting.due_s = min(waiting.due_s, old.due_s)
        return old.job

    def cancel(self, job_id: str, session_id: str) -> bool:
        """Forget a job that still waits. False if it is not waiting (any more)."""
        lane = self._lanes.get(session_id)
        if lane is None:
            return False
        found = lane.partial is not None and lane.partial.job.id == job_id
        if found:
            lane.partial = None
        for queue in (lane.finals, lane.refines):
            for waiting in queue:
                if waiting.job.id == job_id:
                    queue.remove(waiting)
                    found = True
                    break
        self._tidy(session_id)
        return found

    def next_batch(self, now_s: float, busy: int = 0) -> list[DecodeJob]:
        """The jobs to decode now, taken out of the queue; empty if none should be. All share one `batch_key`.

        `busy` batches are in the engine already: then a few partials are held back while they have time, for more to
        join them, which also leaves a slot free for the next final. Who waits so is asked for again when a batch ends.

        Finals and partials are not mixed: a final would wait for the partials' encoding.
        """
        for ranked in self._ranked(now_s):
            batch = self._fill(ranked) if ranked else []
            if batch and not (busy and self._may_wait(batch, now_s)):
                for waiting in batch:
                    self._remove(waiting.job)
                return [waiting.job for waiting in batch]
        return []

    def _ranked(self, now_s: float) -> Iterator[list[_Waiting]]:
        """What may go now, class by class, each made only when it is asked for."""
        rank = self._rank(now_s)
        urgent: list[_Waiting] = []
        early: list[_Waiting] = []
        for waiting in sorted(self._finals(), key=rank):
            (early if self._begin_s(waiting) - now_s > URGENT_S else urgent).append(waiting)
        # two finals at once cost a third less each, so an urgent one takes others with it that would be next
        yield urgent and urgent + early
        yield sorted(self._partials(), key=rank)
        yield early
        yield sorted(self._refines(), key=rank)

    def _may_wait(self, batch: list[_Waiting], now_s: float) -> bool:
        few = batch[0].job.kind is JobKind.PARTIAL and len(batch) < min(FEW_PARTIALS, self.options.max_batch)
        return few and batch[0].due_s - now_s > PARTIAL_SLACK_S

    def _begin_s(self, final: _Waiting) -> float:
        """When it must be begun to be ready in time."""
        return final.due_s - self._final_s_a_second * len(final.job.pcm) / SAMPLE_RATE_HZ

    def finished(self, batch: list[DecodeJob], took_s: float | None) -> None:
        """The engine is through with these, and took so long; their streams may have a next partial decoded."""
        if batch[0].kind is JobKind.FINAL and took_s is not None:
            cost = took_s / (max(len(job.pcm) for job in batch) / SAMPLE_RATE_HZ)
            cost = min(cost, LARGEST_RISE * self._final_s_a_second)
            self._final_s_a_second += LEARNT_SHARE * (cost - self._final_s_a_second)
        for job in batch:
            if job.kind is JobKind.PARTIAL:
                self._lanes[job.session_id].partials_decoding -= 1
                self._tidy(job.session_id)

    def _finals(self) -> Iterator[_Waiting]:
        return (waiting for lane in self._lanes.values() for waiting in lane.finals)

    def _partials(self) -> Iterator[_Waiting]:
        # one at a time a stream: a second would be decoded without knowing what the first committed
        return (lane.partial for lane in self._lanes.values() if lane.partial and not lane.partials_decoding)

    def _refines(self) -> Iterator[_Waiting]:
        return (waiting for lane in self._lanes.values() for waiting in lane.refines)

    def _rank(self, now_s: float) -> Callable[[_Waiting], tuple[int, float, float, int]]:
        def rank(waiting: _Waiting) -> tuple[int, float, float, int]:
            # all that is overdue is equally urgent: under overload the tenants' shares decide, not their numbers
            slot = max(0, int((waiting.due_s - now_s) / DEADLINE_SLOT_S))
            return slot, self._served_s[waiting.job.tenant], waiting.due_s, waiting.order

        return rank

    def _fill(self, ranked: list[_Waiting]) -> list[_Waiting]:
        key = self._key(ranked[0].job)
        batch: list[_Waiting] = []
        left = self.options.max_batch_s * SAMPLE_RATE_HZ
        for waiting in ranked:
            left -= len(waiting.job.pcm)
            if batch and (left < 0 or len(batch) >= self.options.max_batch):
                break
            if self._key(waiting.job) == key:
                batch.append(waiting)
            else:
                left += len(waiting.job.pcm)
        return batch

    def _key(self, job: DecodeJob) -> tuple[object, ...]:
        return *batch_key(job), length_class(job, self.window_steps_s.get(job.options.model, ()))

    def _remove(self, job: DecodeJob) -> None:
        lane = self._lanes[job.session_id]
        self._served_s[job.tenant] += len(job.pcm) / SAMPLE_RATE_HZ
        if job.kind is JobKind.PARTIAL:
            lane.partial = None
            lane.partials_decoding += 1
            return
        queue = lane.finals if job.kind is JobKind.FINAL else lane.refines
        for waiting in queue:
            if waiting.job is job:
                queue.remove(waiting)
                break
        self._tidy(job.session_id)

    def _tidy(self, session_id: str) -> None:
        if self._lanes[session_id].empty:
            del self._lanes[session_id]


def batch_key(job: DecodeJob) -> tuple[object, ...]:
    """Jobs with equal keys may share an engine call: languages, tasks and the wish for word times may differ, all else
    must agree (CTranslate2: one option set a call, the same number of prompt tokens in each item). Second tries, which
    are padded or of another temperature, hold up none but their like."""
    options, again = job.options, job.second_try
    special = again and (again.padded, again.prompted, again.temperature)
    return job.kind, options.model, options.beam_size, options.prompt, options.temperature, special


def length_class(job: DecodeJob, steps_s: Sequence[float]) -> int:
    """Between which of these its window's length lies; windows of one class cost the model alike (see `ModelInfo`)."""
    return bisect_left(steps_s, len(job.pcm) / SAMPLE_RATE_HZ)
