"""The body of an HTTP request: how much of it is read, for how long, and that work for it ends when its client goes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from ..errors import ClientError

T = TypeVar("T")

STALL_S = 30.0
"""in which something of a request must come"""


def limited(request: Request, most_bytes: int) -> Request:
    """The request, whose body may have so many bytes. Reading it raises ClientError (`too_large`, `slow_request`)."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most_bytes:
        raise _too_large(most_bytes)
    return Request(request.scope, _Limited(request.receive, most_bytes))


class _Limited:
    def __init__(self, receive: Receive, most_bytes: int) -> None:
        self._receive = receive
        self._most_bytes = most_bytes
        self._read = 0

    async def __call__(self) -> Message:
        try:
            async with asyncio.timeout(STALL_S):
                message = await self._receive()
        except TimeoutError as fault:
            what = f"nothing of the request came for {STALL_S:g} s"
            raise ClientError("slow_request", what, "send it again") from fault
        self._read += len(message.get("body", b""))
        if self._read > self._most_bytes:
            raise _too_large(self._most_bytes)
        return message


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; it is cancelled when the client goes away. Raises ClientDisconnect then."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            raise ClientDisconnect
        return tasks[0].result()  # type: ignore[return-value]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _too_large(most_bytes: int) -> ClientError:
    what = f"the request is larger than {most_bytes >> 20} MiB"
    return ClientError("too_large", what, "send less at a time, or a compressed file such as flac or opus")
