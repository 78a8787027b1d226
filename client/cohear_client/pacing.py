"""Plays recorded audio as if it were live.

A block is due when its last sample would have been spoken. All blocks count from the start of the first one, so that
delays of single blocks do not add up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from .pcm import Pcm, seconds
from .protocol import Start

Block = TypeVar("Block", Pcm, bytes)


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of `paced`; tests use one that does not wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def paced(
    blocks: Iterable[Block] | AsyncIterable[Block],
    start: Start,
    speed: float = 1.0,
    clock: Clock = Clock(),
) -> AsyncIterator[Block]:
    """Yield blocks at `speed` times real time; 0 means as fast as they are taken.

    `start` says what the blocks hold. A late block goes out at once.
    """
    start_s, due_s = clock.now(), 0.0
    async for block in _each(blocks):
        if speed > 0:
            due_s += seconds(block, start) / speed
            await clock.sleep(max(start_s + due_s - clock.now(), 0.0))
        else:
            await clock.sleep(0)  # lets the events of this stream be read meanwhile
        yield block


async def _each(blocks: Iterable[Block] | AsyncIterable[Block]) -> AsyncIterator[Block]:
    if isinstance(blocks, AsyncIterable):
        async for block in blocks:
            yield block
    else:
        for block in blocks:
            yield block
