"""Two models as one backend. Batches whose jobs name the smaller model go there; all others go to the main one.

Which model a job names is decided elsewhere (see `live.stream`). The caller has at most `slots` batches in both
together, so the two never use more of the machine than the main model alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from ..core.jobs import DecodeJob, DecodeResult
from .backend import DecodeBackend, ModelInfo


class TieredBackend:
    def __init__(self, main: DecodeBackend, smaller: DecodeBackend) -> None:
        self._main = main
        self._smaller = smaller

    @property
    def slots(self) -> int:
        return self._main.slots

    @property
    def model(self) -> ModelInfo:
        return replace(self._main.model, smaller=self._smaller.model)

    async def start(self) -> None:
        """Start both, one after the other, so that each has the whole machine for its warm-up."""
        try:
            await self._main.start()
            await self._smaller.start()
        except BaseException:
            await self.aclose()
            raise

    async def decode(self, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        for_smaller = bool(batch) and batch[0].options.model == self._smaller.model.name
        return await (self._smaller if for_smaller else self._main).decode(batch)

    async def aclose(self) -> None:
        await asyncio.gather(self._main.aclose(), self._smaller.aclose())
