"""Threads that decode: a fixed number, each with one call at a time.

They are daemons, unlike those of `concurrent.futures`: a call that hangs in a library cannot be ended, and must not
keep the process from ending either. Nothing bounds the queue here; whoever calls posts no more than there are threads.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
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
        self._closed = False
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(count)]
        """begun with the first call"""

    async def run(self, call: Callable[[], Out]) -> Out:
        """What `call` returns or raises, in one of the threads. Cancelled, it runs on without anybody.

        Raises RuntimeError once they are closed."""
        if self._closed:
            raise RuntimeError("the workers are closed")
        for thread in self._threads:
            if thread.ident is None:
                thread.start()
        future: Future[Out] = Future()
        self._calls.put((future, call))
        return await asyncio.wrap_future(future)

    async def aclose(self, within_s: float = CLOSE_S) -> None:
        """End the threads when what was posted is done; calls that take longer than that are left alone. Idempotent."""
        self._closed = True
        for _ in self._threads:
            self._calls.put(None)
        await asyncio.to_thread(self._join, time.monotonic() + within_s)

    def _join(self, until_s: float) -> None:
        # threads that are alive at the end of the process are stopped, in a library's code that is an abort
        begun = [thread for thread in self._threads if thread.ident is not None]
        for thread in begun:
            thread.join(max(0.0, until_s - time.monotonic()))
        hung = sum(thread.is_alive() for thread in begun)
        if hung:
            logger.error("%d calls of the engine hang: they are left alone", hung)

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
