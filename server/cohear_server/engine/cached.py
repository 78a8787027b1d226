"""A backend with a cache: finals whose window was decoded before do not reach the engine behind it.

Partials are not looked up, because a growing window does not come again. Threads read and write the cache; a result is
written after it is handed out, and a broken cache is as good as none (see `cache`). A doubtful text is not kept, but
the text of its last second try is, for the same window.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from ..core.jobs import DecodeJob, DecodeResult
from ..errors import BackendUnavailable
from .backend import DecodeBackend, ModelInfo
from .cache import Cache
from .results import Results


class CachedBackend:
    def __init__(self, backend: DecodeBackend, results: Results) -> None:
        """It owns both from now on, and closes them."""
        self._backend = backend
        self._results = results
        self._keeping: set[asyncio.Task[None]] = set()
        self._running = False
        self._posted = 0
        self._idle = asyncio.Event()
        """set while no batch is being decoded"""
        self._idle.set()

    @property
    def cache(self) -> Cache:
        return self._results.cache

    @property
    def slots(self) -> int:
        return self._backend.slots

    @property
    def model(self) -> ModelInfo:
        return self._backend.model

    async def start(self) -> None:
        await self._backend.start()
        self._running = True

    async def decode(self, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        """As in `DecodeBackend`; results from the cache have `known` set."""
        if not self._running:
            raise BackendUnavailable("the engine is not running", "start the backend first; a closed one stays closed")
        if not any(job.kind.lasts for job in batch):
            return await self._backend.decode(batch)
        self._posted += 1
        self._idle.clear()
        try:
            return await self._decode(batch)
        finally:
            self._posted -= 1
            if not self._posted:
                self._idle.set()

    async def aclose(self) -> None:
        """Idempotent, as in any backend."""
        self._running = False
        await self._idle.wait()
        await self._backend.aclose()
        if self._keeping:
            await asyncio.wait(self._keeping)
        await asyncio.to_thread(self._results.cache.close)

    async def _decode(self, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        known = await asyncio.to_thread(self._recall, batch)
        unknown = [job for job, result in zip(batch, known, strict=True) if result is None]
        heard = await self._backend.decode(unknown) if unknown else []
        if heard:
            self._keep(unknown, heard)
        fresh = iter(heard)
        return [next(fresh) if result is None else result for result in known]

    def _recall(self, batch: Sequence[DecodeJob]) -> list[DecodeResult | None]:
        """The cached result of each job, if there is one; None for second tries."""
        found = [self._results.get(job) if job.kind.lasts and job.second_try is None else None for job in batch]
        return [result and replace(result, known=True) for result in found]

    def _keep(self, batch: Sequence[DecodeJob], results: Sequence[DecodeResult]) -> None:
        finals = [
            (job, result) for job, result in zip(batch, results, strict=True) if job.kind.lasts and result.again is None
        ]

        def keep() -> None:
            for job, result in finals:
                self._results.keep(job, result)

        task = asyncio.create_task(asyncio.to_thread(keep))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)
