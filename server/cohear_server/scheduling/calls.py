"""Safe calls of the backend: each ends in time, with one result for every job, or with one fault.

A backend may raise anything, return too few results, or never return. Callers of this module get only
BackendUnavailable. A call that hangs cannot be cancelled, because a thread may be stuck in it: it keeps its slot of the
engine until it returns, and its result is not used. The dispatcher decides when to try again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..core.jobs import DecodeJob, DecodeResult
from ..engine.backend import DecodeBackend
from ..errors import BackendUnavailable
from .answers import in_order

logger = logging.getLogger(__name__)

Patience = Callable[[Sequence[DecodeJob]], float]
"""seconds after which a call with these jobs counts as hung"""

Call: TypeAlias = "asyncio.Task[object]"


def long_patience(batch: Sequence[DecodeJob]) -> float:
    """A limit for an engine of unknown speed: longer than a large model needs on a slow machine."""
    return 900.0


class Calls:
    """At most `slots` calls at a time, hung ones included."""

    def __init__(self, backend: DecodeBackend, patience: Patience, freed: Callable[[], None]) -> None:
        """`freed` is called when a hung call has returned."""
        self._backend = backend
        self._patience = patience
        self._freed = freed
        self._tasks: set[Call] = set()
        self._hung: set[Call] = set()

    @property
    def at_work(self) -> int:
        """Running calls that are not hung."""
        return len(self._tasks) - len(self._hung)

    @property
    def hung(self) -> int:
        """Calls that took too long and have not returned."""
        return len(self._hung)

    @property
    def free(self) -> int:
        """Calls that may be made now."""
        return self._backend.slots - len(self._tasks)

    def begin(self, batch: Sequence[DecodeJob]) -> Call:
        """Take a slot of the engine and make the call. Raises BackendUnavailable if none is free."""
        if self.free < 1:
            raise BackendUnavailable(f"{self.hung} calls of the engine hang, and it has no other slot")
        call: Call = asyncio.create_task(self._ask(batch))
        self._tasks.add(call)
        call.add_done_callback(self._returned)
        return call

    async def result(self, call: Call, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        """The results in the order of the jobs. Raises BackendUnavailable for any failure."""
        limit_s = self._patience(batch)
        done, _ = await asyncio.wait({call}, timeout=limit_s)
        if not done:
            self._hung.add(call)
            raise BackendUnavailable(f"the engine did not answer within {limit_s:.0f} s")
        try:
            answer = call.result()
        except BackendUnavailable:
            raise
        except asyncio.CancelledError:
            raise BackendUnavailable("the engine gave the call up") from None
        except Exception as fault:  # the backend's boundary: its exceptions must not end the server
            logger.exception("the backend raised what it should not")
            raise BackendUnavailable(f"the engine failed: {type(fault).__name__}: {fault}") from fault
        return in_order(batch, answer)

    async def aclose(self) -> None:
        """Stop waiting for calls."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, batch: Sequence[DecodeJob]) -> object:
        return await self._backend.decode(batch)

    def _returned(self, task: Call) -> None:
        self._tasks.discard(task)
        if task not in self._hung:
            return
        self._hung.discard(task)
        fault = None if task.cancelled() else task.exception()
        logger.warning("a call that had hung came back: %s", fault or "its slot is free again")
        self._freed()
