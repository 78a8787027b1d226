"""One stream at the speed of speech to any of the servers, and its answers.

As in `bench/livestream.py`, audio leaves when it is due, whatever the server does; messages are kept with their times
and read when the run is over. A server that never says that it is done is heard until it sends nothing new.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from livestream import OPEN_TIMEOUT_S, Sender, StreamLog, StreamPlan
from voice import Voice
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from .wire import Wire

QUIET_S = 2.5
"""a server that has sent nothing new for so long after the end of the audio is done"""
LINE_LIMIT = 1 << 20


class Refused(Exception):
    """The server did not let the stream in."""


async def run_stream(port: int, wire: Wire, number: int, plan: StreamPlan, voice: Voice) -> StreamLog:
    """Speak from the plan's start to its end, and listen until the answers end."""
    log = StreamLog()
    loop = asyncio.get_running_loop()
    await asyncio.sleep(plan.start_at_s - loop.time())
    try:
        async with _open(port, wire, number) as (transport, messages):
            log.origin_s = loop.time()
            sender = Sender(transport, plan, voice, log, wire.framing())
            sender.begin()
            try:
                await _listen(messages, wire, plan, log)
            finally:
                sender.cancel()
    except Refused as fault:
        log.outcome = f"refused: {fault}"
    except (OSError, TimeoutError, WebSocketException) as fault:
        log.outcome = f"lost: {type(fault).__name__}"
    return log


@asynccontextmanager
async def _open(
    port: int, wire: Wire, number: int
) -> AsyncIterator[tuple[asyncio.WriteTransport, AsyncIterator[str | bytes]]]:
    """The transport for audio, and the messages that come back."""
    if wire.path is None:
        lines, writer = await asyncio.open_connection("127.0.0.1", port, limit=LINE_LIMIT)
        try:
            yield writer.transport, lines
        finally:
            writer.close()
        return
    async with connect(
        f"ws://127.0.0.1:{port}{wire.path}",
        subprotocols=[Subprotocol(wire.subprotocol)] if wire.subprotocol else None,
        compression=None,
        proxy=None,
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=1.0,
        ping_interval=None,
        max_size=None,
    ) as socket:
        for text in wire.hello(number):
            await socket.send(text)
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            while wire.ready is not None:
                message = json.loads(await socket.recv())
                if wire.refused(message):
                    raise Refused(json.dumps(message)[:200])
                if wire.ready(message):
                    break
        yield socket.transport, aiter(socket)


async def _listen(messages: AsyncIterator[str | bytes], wire: Wire, plan: StreamPlan, log: StreamLog) -> None:
    loop = asyncio.get_running_loop()
    until_s = plan.end_at_s + plan.drain_s
    last = ""
    changed_s = loop.time()
    receiving = asyncio.ensure_future(anext(messages, None))
    try:
        while (now_s := loop.time()) < until_s:
            quiet_until_s = max(plan.end_at_s, changed_s) + QUIET_S
            if now_s >= quiet_until_s:
                return
            await asyncio.wait([receiving], timeout=min(until_s, quiet_until_s) - now_s)
            if not receiving.done():
                continue
            message = receiving.result()
            if message is None:
                if loop.time() < plan.end_at_s:
                    log.outcome = "lost: closed"
                return
            text = message if isinstance(message, str) else message.decode(errors="replace")
            if text != last:
                last, changed_s = text, loop.time()
                log.frames.append((loop.time() - log.origin_s, text))
            if wire.path is not None and wire.done(_parsed(text)):
                return
            receiving = asyncio.ensure_future(anext(messages, None))
    finally:
        receiving.cancel()


def _parsed(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
