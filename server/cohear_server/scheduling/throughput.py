"""The policy for files: which waiting windows are decoded next, and together, in batches as full as possible.

    submit --> a lane for each batch key and length class --> next_batch: the lane of a job that somebody waits for;
                                                              one that was passed by too often; the oldest full one;
                                                              the longest, when nothing more comes soon

While more windows are to come, only full batches go. At the end, the rest is shared out evenly over the slots of the
engine, so that all of them end at the same time. A pure decision, as `scheduler` is for live streams: no clock, no I/O,
no threads. The caller bounds how much waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from ..core.jobs import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, DecodeJob, JobKind
from .batching import batch_key, length_class

MAX_WINDOW_S = MAX_WINDOW_SAMPLES / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class ThroughputOptions:
    max_batch: int = 8
    """windows decoded together, at most"""
    max_batch_s: float = 100.0
    """seconds of audio in a batch, where a window counts as what it costs: the longest of its length class, and what
    stands behind it"""
    behind_s: float = 3.5
    """seconds of silence and tail states behind a short window"""
    slots: int = 1
    """batches that the engine works on at the same time"""
    capacity: int = 96
    """Most windows that may wait. With so many no more can come, and the longest lane goes although it is not full."""
    patience: int = 12
    """How many batches may go before a window whose lane does not fill."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    job: DecodeJob
    batches_before: int

    @property
    def wanted(self) -> bool:
        """Somebody waits for it."""
        return self.job.deadline_s == 0


class ThroughputScheduler:
    def __init__(self, options: ThroughputOptions) -> None:
        self.options = options
        self.window_steps_s: tuple[float, ...] = ()
        """windows between two of these cost the model alike (see `ModelInfo`); longer ones cost as 30 s"""
        self.draining = False
        """no window comes soon; told by whoever submits"""
        self._lanes: dict[Hashable, list[_Waiting]] = {}
        """oldest first, and none empty"""
        self._batches = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def depth(self) -> dict[JobKind, int]:
        """How many jobs of each kind wait."""
        counts = Counter(waiting.job.kind for lane in self._lanes.values() for waiting in lane)
        return {kind: counts[kind] for kind in JobKind}

    def submit(self, job: DecodeJob, now_s: float) -> None:
        """Add a job; it replaces none. With `deadline_s` 0 it goes next, with whatever may share its batch."""
        self._lanes.setdefault(self._lane(job), []).append(_Waiting(job, self._batches))

    def cancel(self, job_id: str, session_id: str) -> bool:
        """Forget a job that still waits. False if it is not waiting (any more)."""
        for lane, waiting in self._lanes.items():
            kept = [one for one in waiting if one.job.id != job_id]
            if len(kept) < len(waiting):
                self._keep(lane, kept)
                return True
        return False

    def next_batch(self, now_s: float, busy: int = 0) -> list[DecodeJob]:
        """The jobs to decode now, taken out of the queue; empty if it is better to wait for more."""
        lane = self._choose()
        if lane is None:
            return []
        # the sort is stable: those that are waited for, then the oldest
        waiting = sorted(self._lanes[lane], key=lambda one: not one.wanted)
        size = self._size(lane)
        taken = {one.job.id for one in waiting[:size]}
        self._keep(lane, [one for one in self._lanes[lane] if one.job.id not in taken])
        self._batches += 1
        return [one.job for one in waiting[:size]]

    def finished(self, batch: list[DecodeJob]) -> None:
        """These jobs are decoded; nothing depends on it."""

    def _choose(self) -> Hashable | None:
        wanted = [lane for lane, waiting in self._lanes.items() if any(one.wanted for one in waiting)]
        full = [lane for lane in self._lanes if len(self._lanes[lane]) >= self._limit(lane)]
        if wanted:
            return max(wanted, key=self._age)
        if not full and not (self._lanes and self._nothing_comes()):
            return None
        eldest = max(self._lanes, key=self._age)
        if self._age(eldest) >= self.options.patience:
            return eldest
        return max(full, key=self._age) if full else max(self._lanes, key=lambda lane: len(self._lanes[lane]))

    def _age(self, lane: Hashable) -> int:
        """Batches that went before its oldest job."""
        return self._batches - self._lanes[lane][0].batches_before

    def _nothing_comes(self) -> bool:
        return self.draining or len(self) >= self.options.capacity

    def _size(self, lane: Hashable) -> int:
        """Jobs of the next batch: all that may go together, or a slot's fair share of the last ones."""
        share = -(-len(self) // self.options.slots) if self.draining else len(self)
        return min(self._limit(lane), share)

    def _limit(self, lane: Hashable) -> int:
        step = self._step(self._lanes[lane][0].job)
        short = step < len(self.window_steps_s)
        cost_s = self.window_steps_s[step] + self.options.behind_s if short else MAX_WINDOW_S
        return max(1, min(self.options.max_batch, int(self.options.max_batch_s / cost_s)))

    def _lane(self, job: DecodeJob) -> Hashable:
        return *batch_key(job), self._step(job)

    def _step(self, job: DecodeJob) -> int:
        return length_class(job, self.window_steps_s)

    def _keep(self, lane: Hashable, waiting: list[_Waiting]) -> None:
        if waiting:
            self._lanes[lane] = waiting
        else:
            del self._lanes[lane]
