"""A backend that remembers: finals whose window was heard before never reach the engine behind it.

Partials are not looked up: a window that grows does not come again. Asking and keeping is done in threads; what was
heard is kept after it is handed out, and a cache that breaks is as good as none (see `cache`). A doubtful text is not
kept; that of its last second try is, as that of the window.
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
        """Both are its own from now on, and closed with it."""
        self._backend = backend
        self._results = results
        self._keeping: set[asyncio.Task[None]] = set()
        self._running = False
        self._posted = 0
        self._idle = asyncio.Event()
        """set while no batch is posted"""
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
        """As told by `DecodeBackend`; results that are known are marked as such."""
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
        """Idempotent, as any backend's."""
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
        """What is known of each job; nothing of one whose second try this is."""
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
