"""Threads that decode: a fixed number, each with one call at a time.

They are daemons, unlike those of `concurrent.futures`: a call that hangs in a library cannot be ended, and must not
keep the process from ending either. Nothing bounds the queue here; whoever calls posts no more than there are threads.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

Out = TypeVar("Out")

CLOSE_S = 10.0
"""for calls that are under way when the workers are closed"""


class Workers:
    def __init__(self, count: int, name: str = "decode") -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._posted: set[Future[Any]] = set()
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    async def run(self, call: Callable[[], Out]) -> Out:
        """What `call` returns or raises, in one of the threads. Cancelled, it runs on without anybody."""
        future: Future[Out] = Future()
        self._posted.add(future)
        future.add_done_callback(self._posted.discard)
        self._calls.put((future, call))
        return await asyncio.wrap_future(future)

    async def aclose(self, within_s: float = CLOSE_S) -> None:
        """End the threads when what was posted is done; calls that take longer than that are left alone. Idempotent."""
        for _ in self._threads:
            self._calls.put(None)
        if self._posted:
            await asyncio.wait([asyncio.wrap_future(future) for future in self._posted], timeout=within_s)
        if self._posted:
            logger.error("%d calls of the engine hang: they are left alone", len(self._posted))

    def _work(self) -> None:
        while (posted := self._calls.get()) is not None:
            future, call = posted
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as fault:  # noqa: BLE001 the caller's: handed over
                future.set_exception(fault)
            del future, call, posted  # a result is not kept until the next call
