"""Keeps the engine busy: whenever a slot of the backend is free, the policy's next batch goes in.

No timer gathers batches: an idle engine starts at once, and while it works the next batch fills by
itself. Results go back to the stream that asked, with the times of each stage. It decides nothing
about order or composition; that is a policy: `scheduler` for live streams, `throughput` for files.

A result may ask for a second try (`DecodeResult.again`, see `engine.second_try`). Then the window is queued once more,
and delivered when that is settled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ..core.jobs import DecodeJob, DecodeResult, JobKind, SecondTry
from ..engine.backend import DecodeBackend
from ..errors import BackendUnavailable
from .load import Load, LoadOptions

logger = logging.getLogger(__name__)


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

    def finished(self, batch: list[DecodeJob], took_s: float | None) -> None:
        """The engine is through with these, and took so long; None where it need not or could not decode them."""
        ...


@dataclass(frozen=True, slots=True)
class JobTimes:
    """When a job passed each stage, in seconds of the dispatcher's clock."""

    submitted_s: float
    batched_s: float
    begun_s: float
    decoded_s: float


Deliver = Callable[[DecodeResult, JobTimes], None]
Begun = Callable[[str], None]
"""told the id of a job as it goes into the engine"""
Decoded = Callable[[Sequence[DecodeJob], Sequence[DecodeResult], float], None]
"""told of each batch that comes out of the engine, and for how many seconds it occupied a slot"""


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


class Dispatcher:
    """`run` is its one task; `submit` and `cancel` are called from the same event loop."""

    def __init__(
        self,
        backend: DecodeBackend,
        policy: BatchPolicy,
        clock: Callable[[], float],
        decoded: Decoded = lambda batch, results, busy_s: None,
    ) -> None:
        self.policy = policy
        self._backend = backend
        self.load = Load(LoadOptions(backend.slots))
        self._clock = clock
        self._decoded = decoded
        self._waiting: dict[str, _Entry] = {}
        self._changed = asyncio.Event()
        self._busy = 0

    @property
    def decoding(self) -> int:
        """Batches in the engine now."""
        return self._busy

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
        """The policy was told something by which it may decide otherwise."""
        self._changed.set()

    async def run(self) -> None:
        """Dispatch until cancelled; batches in the engine are then waited for."""
        async with asyncio.TaskGroup() as group:
            while True:
                while self._busy < self._backend.slots and (batch := self.policy.next_batch(self._clock(), self._busy)):
                    self._busy += 1
                    group.create_task(self._decode(batch))
                    self._tell_begun(batch)
                self._changed.clear()
                await self._changed.wait()

    def _tell_begun(self, batch: list[DecodeJob]) -> None:
        for job in batch:
            begun = self._waiting[job.id].begun
            if begun is not None:
                begun(job.id)

    async def _decode(self, batch: list[DecodeJob]) -> None:
        batched_s = self._clock()
        took_s: float | None = None
        try:
            results = await self._backend.decode(batch)
            if not any(result.known for result in results):
                took_s = self._clock() - batched_s
        except BackendUnavailable as fault:
            logger.error("a batch of %d jobs was not decoded: %s", len(batch), fault)
            results = [DecodeResult(job.id, error=fault) for job in batch]
        finally:
            self._busy -= 1
            decoded_s = self._clock()
            self.policy.finished(batch, took_s)
            self._changed.set()
        self._decoded(batch, results, decoded_s - batched_s)
        for job, result in zip(batch, results, strict=True):
            entry = self._waiting.pop(job.id)
            begun_s = min(decoded_s, batched_s + result.wait_ms / 1000)
            self._charge(job, decoded_s - begun_s, len(batch), batched_s - entry.wanted_s)
            if result.again is not None and not entry.unwanted:
                self._try_again(entry, result.again)
                continue
            # a second try that fails does not lose the first text
            told = job.second_try.best if job.second_try and result.error else result
            times = JobTimes(entry.submitted_s, batched_s, begun_s, decoded_s)
            try:
                entry.deliver(told, times)
            except Exception:  # one stream's fault must not take the engine's results from the others
                logger.exception("stream %s failed on a result", job.session_id)

    def _try_again(self, entry: _Entry, second_try: SecondTry) -> None:
        """Queue a doubtful window once more, as a job of its own: its neighbours' results are out already.

        It keeps its id, and what is left of its deadline."""
        now_s = self._clock()
        left_s = max(0.0, entry.job.deadline_s - (now_s - entry.asked_s))
        job = replace(entry.job, deadline_s=left_s, second_try=second_try)
        self._waiting[job.id] = replace(entry, job=job, asked_s=now_s, begun=None)
        self.policy.submit(job, now_s)
        self._changed.set()

    def _charge(self, job: DecodeJob, busy_s: float, batch: int, waited_s: float) -> None:
        """Tell the load what a job cost; a partial also stands for those that its stream wanted while it waited."""
        cost_s, now_s = busy_s / batch, self._clock()
        if job.kind is JobKind.PARTIAL:
            self.load.partial_decoded(job.session_id, cost_s, 1 + waited_s / job.deadline_s, now_s, batch)
        elif job.kind is JobKind.FINAL:
            self.load.final_decoded(job.session_id, cost_s, now_s)
