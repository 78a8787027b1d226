"""Background tasks of a service: a task that fails is started again. It knows none of the tasks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator

logger = logging.getLogger(__name__)

RESTART_S = 1.0
"""pause before a failed task is started again"""

Companion = Callable[[], Coroutine[None, None, None]]


class Companions:
    def __init__(self) -> None:
        self.faults = 0
        """how often a task failed"""
        self._all: list[Companion] = []

    def append(self, companion: Companion) -> None:
        """Added before they are run."""
        self._all.append(companion)

    def __iter__(self) -> Iterator[Companion]:
        return iter(self._all)

    async def run(self, companion: Companion) -> None:
        """Until it ends, or is cancelled."""
        while True:
            try:
                return await companion()
            except Exception:  # a boundary: what runs beside the streams must not end them
                self.faults += 1
                logger.exception("%s failed; it begins again", getattr(companion, "__qualname__", "a companion"))
            await asyncio.sleep(RESTART_S)
