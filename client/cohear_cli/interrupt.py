"""Ctrl-C while audio is streamed: the first ends the audio, and what was said before it becomes text; the second ends
the command.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator

from cohear_client.pcm import Pcm

from .stdio import say


@contextlib.contextmanager
def first_interrupt(end: Callable[[], None]) -> Iterator[None]:
    """Within, the first Ctrl-C calls `end`. Where signals cannot be taken (Windows, other threads) it interrupts."""
    loop, usual = asyncio.get_running_loop(), signal.getsignal(signal.SIGINT)

    def restore() -> None:
        # asyncio's own, which cancels: Python's default would break whatever task is at work
        if loop.remove_signal_handler(signal.SIGINT):
            signal.signal(signal.SIGINT, usual)

    def once() -> None:
        restore()
        say("cohear: no more audio is sent, the last text comes; Ctrl-C again ends at once")
        end()

    try:
        loop.add_signal_handler(signal.SIGINT, once)
    except (NotImplementedError, RuntimeError, ValueError):
        yield
        return
    try:
        yield
    finally:
        restore()


async def until(over: asyncio.Event, blocks: AsyncIterator[Pcm | bytes]) -> AsyncIterator[Pcm | bytes]:
    """The blocks, until `over` is set: also while the next one is waited for."""
    end = asyncio.ensure_future(over.wait())
    try:
        while not over.is_set():
            coming = asyncio.ensure_future(anext(blocks, None))
            await asyncio.wait((end, coming), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                return
            block = coming.result()
            if block is None:
                return
            yield block
    finally:
        end.cancel()
