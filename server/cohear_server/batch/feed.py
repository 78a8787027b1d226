"""The dispatcher of a run over files: in an event loop of its own, fed from the thread that reads.

    reader's thread:   start -> enter (waits while too many windows are out) -> hand_over -> ... -> end
    event loop:        runs what was handed over, which calls submit and hurry; then `deliver` with each result

It knows jobs and results, no files and no text.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from ..core.jobs import DecodeJob, DecodeResult
from ..engine.backend import DecodeBackend
from ..scheduling.dispatcher import Dispatcher, JobTimes
from ..scheduling.throughput import ThroughputOptions, ThroughputScheduler

Deliver = Callable[[DecodeResult], None]


@dataclass(frozen=True, slots=True)
class _Out:
    """A job that waits or is decoded."""

    job: DecodeJob
    deliver: Deliver


class Feed:
    """`run` is the loop's thread; `submit` and `hurry` are called in it, everything else from any other."""

    def __init__(self, backend: DecodeBackend, options: ThroughputOptions) -> None:
        self._backend = backend
        self._policy = ThroughputScheduler(options)
        self._dispatcher = Dispatcher(backend, self._policy, time.monotonic)
        self._room = threading.Semaphore(options.capacity)
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._numbers = itertools.count()
        self._out: dict[str, _Out] = {}
        self._over = asyncio.Event()
        self._ended = False
        self._closed = threading.Event()

    def run(self) -> None:
        """Until all that was submitted is delivered and `end` was called; the backend is then closed."""
        with asyncio.Runner() as runner:
            self._loop.set_result(runner.get_loop())
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                dispatching = group.create_task(self._dispatcher.run())
                await self._over.wait()
                dispatching.cancel()
        finally:
            await self._backend.aclose()

    # from other threads

    def start(self) -> None:
        """Load the model, if it is not loaded yet. Raises ClientError for one that cannot be had, BackendUnavailable
        for anything else."""
        asyncio.run_coroutine_threadsafe(self._start(), self._loop.result()).result()

    def enter(self) -> bool:
        """Wait for room for one more window; False if the feed was closed."""
        self._room.acquire()
        return not self._closed.is_set()

    def leave(self) -> None:
        """A window that entered needs no decoding: give its place back."""
        self._room.release()

    def hand_over(self, work: Callable[[], object]) -> None:
        """Run `work` in the loop; it submits a window that entered. More windows may come."""
        self._call(lambda: self._take_in(work))

    def flush(self) -> None:
        """Nothing more comes for now."""
        self._call(self._drain)

    def end(self) -> None:
        """Nothing more comes at all."""
        self._call(self._end)

    def close(self) -> None:
        """What is in the engine is decoded and delivered, the rest is dropped. `end` must still be called."""
        self._closed.set()
        self._room.release()
        self._call(self._drop)

    def _call(self, work: Callable[[], None]) -> None:
        try:
            self._loop.result().call_soon_threadsafe(work)
        except RuntimeError:  # the loop is over: nobody waits for anything
            return

    # in the loop

    def submit(self, job: DecodeJob, deliver: Deliver, *, again: bool = False) -> str:
        """Queue a job; returns its id. `again`: its window was decoded before, and takes no room."""
        job = replace(job, id=str(next(self._numbers)))
        if not self._closed.is_set():
            self._out[job.id] = _Out(job, deliver)
            self._dispatcher.submit(job, self._delivered, None if again else lambda _: self._room.release())
        return job.id

    def hurry(self, job_id: str) -> None:
        """Others wait for this job: it goes next."""
        if out := self._out.get(job_id):
            self._dispatcher.hurry(job_id, out.job.session_id)

    def _delivered(self, result: DecodeResult, times: JobTimes) -> None:
        self._out.pop(result.job_id).deliver(result)
        self._check_over()

    async def _start(self) -> None:
        await self._backend.start()
        self._policy.window_steps_s = self._backend.model.window_steps_s

    def _take_in(self, work: Callable[[], object]) -> None:
        self._policy.draining = False
        work()

    def _drain(self) -> None:
        self._policy.draining = True
        self._dispatcher.ask_again()

    def _end(self) -> None:
        self._ended = True
        self._drain()
        self._check_over()

    def _drop(self) -> None:
        for out in list(self._out.values()):
            if self._dispatcher.cancel(out.job.id, out.job.session_id):
                del self._out[out.job.id]
        self._check_over()

    def _check_over(self) -> None:
        if self._ended and not self._out:
            self._over.set()
