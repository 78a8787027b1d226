"""Keeps the engine busy: when a slot of the backend is free, the next batch of the policy goes in.

No timer gathers batches: an idle engine starts at once, and while it works the next batch fills by itself. Results go
back to the stream that asked, with the times of each stage. It does not decide which jobs are next, or
together. That is a policy: `scheduler` for live streams, `throughput` for files.

No fault of the backend ends it. When a call fails (see `calls`), its partials are given up, and its finals are tried:

    the batch --fails--> together once more --fails--> each alone --fails--> once more --fails--> told as lost

While the backend is down (see `health`), one call is made at a time, with a pause before the next. It is the work that
waits, or a small probe if nothing waits. After the first success the backend is up again.

A result may ask for a second try (`DecodeResult.again`, see `engine.second_try`). Then the window is queued once more,
and delivered when that is settled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeResult, JobKind, SecondTry
from ..engine.backend import DecodeBackend
from ..errors import BackendUnavailable, ServerError
from .calls import Call, Calls, Patience, long_patience
from .health import Health, HealthWatch

logger = logging.getLogger(__name__)

TRIES = 2
"""Tries of a batch, and then of each of its finals alone."""

PAUSE_S = 0.5
"""Pause before a second try, and between the calls to a backend that is down."""


class BatchPolicy(Protocol):
    """Decides which of the waiting jobs are decoded next, and together."""

    def __len__(self) -> int:
        """How many jobs wait."""
        ...

    def depth(self) -> dict[JobKind, int]:
        """How many of each kind."""
        ...

    def submit(self, job: DecodeJob, now_s: float) -> DecodeJob | None:
        """Take a job in. Returns the one that it replaces, which will not be decoded."""
        ...

    def cancel(self, job_id: str, session_id: str) -> bool:
        """Forget a job that still waits. False if it is not waiting (any more)."""
        ...

    def next_batch(self, now_s: float, busy: int) -> list[DecodeJob]:
        """The jobs to decode now, which wait no more; `busy` batches are in the engine. Empty if none should be."""
        ...

    def finished(self, batch: list[DecodeJob]) -> None:
        """The engine is through with these, or has failed on them."""
        ...


@dataclass(frozen=True, slots=True)
class JobTimes:
    """When a job passed each stage, in seconds of the dispatcher's clock."""

    submitted_s: float
    batched_s: float
    begun_s: float
    decoded_s: float


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """A batch that came out of the engine."""

    jobs: Sequence[DecodeJob]
    results: Sequence[DecodeResult]
    """one a job, in the same order"""
    waited_s: Sequence[float]
    """of each job: since the first of the windows that it replaced was submitted, until it went into the engine"""
    busy_s: float
    """how long the engine was at work on it"""
    at_s: float
    """when it came out"""


Deliver = Callable[[DecodeResult, JobTimes], None]
Begun = Callable[[str], None]
"""told the id of a job as it goes into the engine and can no longer be cancelled"""
Decoded = Callable[[DecodedBatch], None]


@dataclass(frozen=True, slots=True)
class _Entry:
    job: DecodeJob
    """as it waits, or was decoded last"""
    submitted_s: float
    wanted_s: float
    """when the first of the windows that it replaced was submitted"""
    asked_s: float
    """when it was submitted, or its second try"""
    deliver: Deliver
    begun: Begun | None
    unwanted: bool = False
    """cancelled when it was in the engine already: it is not worth a second try"""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Jobs that go into the engine together, and how often they did so before."""

    jobs: list[DecodeJob]
    before: int = 0
    not_before_s: float = 0.0


class Dispatcher:
    """`run` is its one task; `submit` and `cancel` are called from the same event loop."""

    def __init__(
        self,
        backend: DecodeBackend,
        policy: BatchPolicy,
        clock: Callable[[], float],
        observers: Sequence[Decoded] = (),
        patience: Patience = long_patience,
    ) -> None:
        """`observers` are told of each batch that comes out of the engine; one that raises is logged."""
        self.policy = policy
        self._clock = clock
        self._observers = observers
        self._waiting: dict[str, _Entry] = {}
        self._changed = asyncio.Event()
        self._calls = Calls(backend, patience, self._changed.set)
        self._watch = HealthWatch()
        self._again: deque[_Attempt] = deque()
        """Further tries, oldest first. Bounded as the policy's finals are: whoever submits them waits for results."""
        self._probe: DecodeJob | None = None
        """a small window like those that failed last"""
        self._rests_until_s = 0.0

    @property
    def decoding(self) -> int:
        """Batches in the engine now."""
        return self._calls.at_work

    @property
    def hung(self) -> int:
        """Calls that took too long and still keep a slot of the engine."""
        return self._calls.hung

    @property
    def health(self) -> Health:
        return self._watch.now

    def submit(self, job: DecodeJob, deliver: Deliver, begun: Begun | None = None) -> str | None:
        """Queue a job. `deliver` is called once, unless the job is cancelled or replaced before it is decoded;
        `begun` is called before, when it can be no more. Returns the id of the job that it replaces."""
        now_s = self._clock()
        replaced = self.policy.submit(job, now_s)
        wanted_s = now_s if replaced is None else self._waiting.pop(replaced.id).wanted_s
        self._waiting[job.id] = _Entry(job, now_s, wanted_s, now_s, deliver, begun)
        self._changed.set()
        return replaced.id if replaced else None

    def cancel(self, job_id: str, session_id: str) -> bool:
        """The result is not needed. False for a job in the engine: that runs on, and is still delivered."""
        waited = self.policy.cancel(job_id, session_id)
        if waited:
            del self._waiting[job_id]
        elif job_id in self._waiting:
            self._waiting[job_id] = replace(self._waiting[job_id], unwanted=True)
        return waited

    def hurry(self, job_id: str, session_id: str) -> None:
        """Others wait for this job now. One in the engine is no quicker for it, but its second try is."""
        entry = self._waiting.get(job_id)
        if entry is None:
            return
        job = replace(entry.job, deadline_s=0.0)
        self._waiting[job_id] = replace(entry, job=job)
        if self.policy.cancel(job_id, session_id):
            self.policy.submit(job, self._clock())
            self._changed.set()

    def ask_again(self) -> None:
        """Ask the policy once more: something changed that may change its decision."""
        self._changed.set()

    async def run(self) -> None:
        """Dispatch until cancelled; batches in the engine are then given up."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._changed.clear()
                    while (attempt := self._next(self._clock())) is not None:
                        self._begin(attempt, group)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._pause_s(self._clock())):
                            await self._changed.wait()
        finally:
            await self._calls.aclose()

    def _next(self, now_s: float) -> _Attempt | None:
        """What goes into the engine now, if anything does."""
        up, busy = self.health.up, self._calls.at_work
        if now_s < self._rests_until_s or (not self._calls.free if up else busy):
            return None
        if self._again and self._again[0].not_before_s <= now_s:
            return self._again.popleft()
        batch = self.policy.next_batch(now_s, busy)
        if batch:
            self._tell_begun(batch)
            return _Attempt(batch)
        if up or self._again or self._probe is None:
            return None
        return _Attempt([self._probe])

    def _pause_s(self, now_s: float) -> float | None:
        """Until something may go in that may not yet; None: only once something has changed."""
        if not self.health.up:
            return max(0.0, self._rests_until_s - now_s) or PAUSE_S
        return max(0.0, self._again[0].not_before_s - now_s) if self._again and self._calls.free else None

    def _tell_begun(self, batch: list[DecodeJob]) -> None:
        for job in batch:
            begun = self._waiting[job.id].begun
            if begun is not None:
                with _contained(job):
                    begun(job.id)

    def _begin(self, attempt: _Attempt, group: asyncio.TaskGroup) -> None:
        try:
            call = self._calls.begin(attempt.jobs)
        except BackendUnavailable as fault:
            self._settle(attempt, _all_failed(attempt, fault), self._clock())
        else:
            group.create_task(self._decode(attempt, call))

    async def _decode(self, attempt: _Attempt, call: Call) -> None:
        batched_s = self._clock()
        try:
            results = await self._calls.result(call, attempt.jobs)
        except BackendUnavailable as fault:
            results = _all_failed(attempt, fault)
        self._settle(attempt, results, batched_s)
        self._changed.set()

    def _settle(self, attempt: _Attempt, results: list[DecodeResult], batched_s: float) -> None:
        now_s, jobs = self._clock(), attempt.jobs
        # what a client asked for and cannot have is no fault of the backend
        faults = {one.job_id: one.error for one in results if isinstance(one.error, ServerError)}
        self._note(jobs, faults, now_s)
        if jobs[0].id not in self._waiting:
            return  # a probe
        self.policy.finished(jobs)
        if len(faults) < len(jobs):
            waited_s = [batched_s - self._waiting[job.id].wanted_s for job in jobs]
            begun_s = min(now_s, batched_s + results[0].wait_ms / 1000)
            self._observe(DecodedBatch(jobs, results, waited_s, now_s - begun_s, now_s))
        again = self._tried_again([job for job in jobs if job.id in faults], attempt.before + 1, now_s)
        for job, result in zip(jobs, results, strict=True):
            if job.id not in again:
                self._deliver(job, result, batched_s)

    def _note(self, jobs: list[DecodeJob], faults: Mapping[str, ServerError], now_s: float) -> None:
        """What the outcome of a call says about the backend."""
        if len(faults) < len(jobs):
            self._watch.succeeded(now_s)
        if not faults:
            return
        fault = str(next(iter(faults.values())))
        logger.error("%d of %d jobs were not decoded: %s", len(faults), len(jobs), fault)
        if len(faults) == len(jobs):
            self._probe = _small(jobs[0])
            self._watch.failed(fault, now_s, hopeless=not (self._calls.free or self._calls.at_work))
            if not self.health.up:
                self._rests_until_s = now_s + PAUSE_S

    def _tried_again(self, failed: list[DecodeJob], tries: int, now_s: float) -> set[str]:
        """Queue the next try of the finals that failed so often; the ids of those that have one."""
        finals = [job for job in failed if job.kind is not JobKind.PARTIAL and not self._waiting[job.id].unwanted]
        if tries >= TRIES and len(finals) > 1:
            groups, tries = [[job] for job in finals], 0
        else:
            groups = [finals] if finals and tries < TRIES else []
        self._again += [_Attempt(group, tries, now_s + PAUSE_S) for group in groups]
        return {job.id for group in groups for job in group}

    def _try_again(self, entry: _Entry, second_try: SecondTry) -> None:
        """Queue a doubtful window once more, as a job of its own: its neighbours' results are out already.

        It keeps its id, and what is left of its deadline."""
        now_s = self._clock()
        left_s = max(0.0, entry.job.deadline_s - (now_s - entry.asked_s))
        job = replace(entry.job, deadline_s=left_s, second_try=second_try)
        self._waiting[job.id] = replace(entry, job=job, asked_s=now_s, begun=None)
        self.policy.submit(job, now_s)
        self._changed.set()

    def _observe(self, batch: DecodedBatch) -> None:
        for observer in self._observers:
            try:
                observer(batch)
            except Exception:  # an observer must not end the dispatcher
                logger.exception("an observer of the dispatcher failed")

    def _deliver(self, job: DecodeJob, result: DecodeResult, batched_s: float) -> None:
        entry, now_s = self._waiting.pop(job.id), self._clock()
        if result.again is not None and not entry.unwanted:
            self._try_again(entry, result.again)
            return
        # a second try that fails does not lose the first text
        told = job.second_try.best if job.second_try and result.error else result
        begun_s = min(now_s, batched_s + result.wait_ms / 1000)
        with _contained(job):
            entry.deliver(told, JobTimes(entry.submitted_s, batched_s, begun_s, now_s))


@contextlib.contextmanager
def _contained(job: DecodeJob) -> Iterator[None]:
    """One stream's fault must not take the engine's results from the others."""
    try:
        yield
    except Exception:  # the streams' boundary
        logger.exception("stream %s failed on a result", job.session_id)


def _all_failed(attempt: _Attempt, fault: BackendUnavailable) -> list[DecodeResult]:
    return [DecodeResult(job.id, error=fault) for job in attempt.jobs]


def _small(job: DecodeJob) -> DecodeJob:
    """A window like this job's, but short and of faint noise; a partial, for those are not answered from a cache."""
    noise = np.random.default_rng(0).integers(-300, 300, SAMPLE_RATE_HZ, dtype=np.int16)
    options = replace(job.options.without_prompt(), word_times=False)
    return DecodeJob("probe", "", "", 0, noise, JobKind.PARTIAL, 1.0, options)
