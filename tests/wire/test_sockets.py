"""Connections that cost much and say little, before any key: each is answered or closed, and keeps nobody out."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable

import pytest
from cohear_client import protocol
from cohear_client.protocol import Done, Error, Start, Stop, encode
from cohear_server.wire.open_sockets import SocketLimits
from cohear_server.wire.sockets import PIECE_BYTES, allow_messages
from cohear_testing.fake import FakeBackend
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from ..serving import Running, heard_until, serving
from .test_connection import begin, get

SOON_S = 0.5
CLOSED_S = 60.0
"""a test that fails waits no longer"""

Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def raw(running: Running, data: bytes = b"") -> AsyncIterator[Pipe]:
    host, port = running.address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def everything(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other side closes."""
    got = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(CLOSED_S):
            while data := await reader.read(65_536):
                got += data
    return got


def request(running: Running, *lines: str, path: str = "/healthz", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {running.address}", *lines, "", ""]).encode()


def handshake(running: Running, *lines: str, path: str = protocol.PATH, method: str = "GET") -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}")
    return request(running, *upgrade, *lines, path=path, method=method)


async def alive(running: Running) -> None:
    assert await get(running.address, "/healthz") == (200, "alive")


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(CLOSED_S):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


async def gone(running: Running) -> None:
    """Until the server has no connection any more."""
    await until(lambda: not running.connections)


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_a_head_that_does_not_come_is_not_waited_for(begun: bytes) -> None:
    async with serving(FakeBackend(), SocketLimits(head_s=SOON_S)) as running, raw(running, begun) as (r, _):
        assert await everything(r) == b""
        await alive(running)


async def test_a_head_that_drips_is_not_waited_for_either() -> None:
    async with serving(FakeBackend(), SocketLimits(head_s=SOON_S)) as running, raw(running) as (reader, writer):

        async def drip() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(SOON_S / 10)

        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        dripping = asyncio.create_task(drip())
        assert await everything(reader) == b""
        dripping.cancel()


async def test_nor_is_the_body_that_nobody_asked_for() -> None:
    async with serving(FakeBackend(), SocketLimits(head_s=SOON_S)) as running:
        head = request(running, "Content-Length: 1000000", path="/v1/nothing", method="POST")
        async with raw(running, head) as (reader, writer):
            dripping = asyncio.create_task(_drip(writer))
            assert b"404" in await everything(reader)
            dripping.cancel()


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await asyncio.sleep(SOON_S / 10)


async def test_an_answer_that_is_not_read_is_given_up() -> None:
    limits = SocketLimits(stall_s=SOON_S)
    async with serving(FakeBackend(), limits) as running:
        ask = request(running, path="/web/cohear.js") * 2_000
        async with raw(running) as (reader, writer):
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(ask)
            await until(lambda: running.connections)
            await gone(running)


@pytest.mark.parametrize("lines", [["X: " + "a" * 60_000], [f"X{i}: {'a' * 90}" for i in range(300)], ["X:"] * 5_000])
@pytest.mark.parametrize("upgrade", [False, True])
async def test_a_large_head_is_answered_and_closed(lines: list[str], *, upgrade: bool) -> None:
    async with serving(FakeBackend()) as running:
        head = handshake(running, *lines) if upgrade else request(running, *lines)
        async with raw(running, head) as (reader, _):
            assert b" 431 " in await everything(reader)


@pytest.mark.parametrize(
    ("method", "line", "status"),
    [
        ("POST", "X: y", b" 405 "),
        ("GET", "transfer-encoding: chunked", b" 400 "),
        ("GET", "Sec-WebSocket-Key: 2", b" 400 "),
    ],
)
async def test_a_handshake_that_is_none_is_answered_and_closed(method: str, line: str, status: bytes) -> None:
    async with serving(FakeBackend()) as running:
        async with raw(running, handshake(running, line, method=method)) as (reader, _):
            assert status in await everything(reader)
        await alive(running)


async def test_a_handshake_with_too_many_headers_is_answered_and_closed() -> None:
    async with serving(FakeBackend()) as running:
        head = handshake(running, *[f"X{i}: a" for i in range(150)])
        async with raw(running, head) as (reader, _):
            assert b" 431 " in await everything(reader)


async def test_silent_connections_keep_nobody_out() -> None:
    """Three times as many as fit: the ones that have been silent longest give way."""
    limits = SocketLimits(connections=20, spare=4)
    async with serving(FakeBackend(), limits) as running, contextlib.AsyncExitStack() as stack:
        for _ in range(60):
            await stack.enter_async_context(raw(running))
        await alive(running)
        async with running.socket() as ws:
            await begin(ws)
            assert running.connections <= 20


async def test_websockets_that_never_start_keep_nobody_out() -> None:
    limits = SocketLimits(connections=20, spare=4)
    async with serving(FakeBackend(), limits) as running, contextlib.AsyncExitStack() as stack:
        for _ in range(60):
            reader, _ = await stack.enter_async_context(raw(running, handshake(running)))
            await reader.readuntil(b"\r\n\r\n")
        await alive(running)
        async with running.socket() as ws:
            await begin(ws)


async def test_streams_do_not_give_way_and_health_is_still_answered() -> None:
    limits = SocketLimits(connections=10, spare=4)
    async with serving(FakeBackend(), limits) as running, contextlib.AsyncExitStack() as stack:
        held = [await stack.enter_async_context(running.socket()) for _ in range(6)]
        for ws in held:
            await begin(ws)
        async with raw(running, handshake(running)) as (reader, _):
            answer = await everything(reader)
            assert b" 503 " in answer
            assert b"retry-after" in answer
            assert json.loads(answer.split(b"\r\n\r\n")[1])["code"] == "too_many_connections"
        for _ in range(20):
            await stack.enter_async_context(raw(running))
        await alive(running)
        for ws in held:
            await ws.send(encode(Stop()))
            await heard_until(ws, Done)


async def test_one_address_cannot_have_all_connections() -> None:
    async with (
        serving(FakeBackend(), SocketLimits(per_address=2)) as running,
        running.socket() as first,
        running.socket() as second,
        raw(running, handshake(running)) as (reader, _),
    ):
        assert b"your address has too many" in await everything(reader)
        for ws in (first, second):
            await begin(ws)


async def close_code(ws: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(CLOSED_S):
            while True:
                await ws.recv()
    return ws.close_code


@pytest.mark.parametrize("first", ["x" * 70_000, b"\0" * 70_000])
async def test_a_first_message_is_small(first: str | bytes) -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await ws.send(first)
        assert await close_code(ws) == 1009


async def test_but_an_application_that_knows_its_client_may_allow_more() -> None:
    async with serving(FakeBackend()) as running:
        async with running.socket() as ws:
            (websocket,) = running.websockets
            allow_messages(websocket.scope, 100_000)
            await ws.send("x" * 70_000)
            (error,) = await heard_until(ws, Error)
            assert isinstance(error, Error)
            assert error.code == "message_too_large", "which is the protocol's own limit"
        async with running.socket() as ws:
            await until(lambda: len(running.websockets) == 1)
            allow_messages(running.websockets[0].scope, 100_000)
            await ws.send("x" * 100_001)
            assert await close_code(ws) == 1009


def test_another_kind_of_server_has_limits_of_its_own() -> None:
    allow_messages({"type": "websocket"}, 100_000)


async def test_audio_may_follow_its_start_at_once() -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        frames = [(Opcode.TEXT, encode(Start()).encode()), (Opcode.BINARY, bytes(200_000))]
        ws.transport.write(b"".join(Frame(code, data).serialize(mask=True, extensions=[]) for code, data in frames))
        await ws.send(encode(Stop()))
        done = (await heard_until(ws, Done))[-1]
        assert isinstance(done, Done)
        assert done.samples.received == 100_000


async def test_a_text_is_refused_unread_beyond_its_limit_and_the_stream_goes_on() -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await begin(ws)
        await ws.send(json.dumps({"type": "finalize", "id": "x" * protocol.MAX_TEXT_BYTES}))
        (error,) = await heard_until(ws, Error)
        assert isinstance(error, Error)
        assert (error.code, error.fatal) == ("message_too_large", False)
        await ws.send(encode(Stop()))
        await heard_until(ws, Done)


async def test_a_message_far_beyond_all_limits_closes_the_connection() -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await begin(ws)
        await ws.send(b"\0" * (3 * protocol.MAX_FRAME_BYTES))
        assert await close_code(ws) == 1009
        await alive(running)


async def test_a_message_in_endless_pieces_closes_the_connection() -> None:
    async with serving(FakeBackend(), SocketLimits(fragments=100)) as running, running.socket() as ws:
        await begin(ws)
        pieces = [Frame(Opcode.TEXT, b"", fin=False), *[Frame(Opcode.CONT, b"", fin=False)] * 200]
        for piece in pieces:
            ws.transport.write(piece.serialize(mask=True, extensions=[]))
        assert await close_code(ws) == 1006


async def test_many_small_messages_are_read_no_faster_than_they_are_taken() -> None:
    """More than one read of the socket brings, and each is answered or counted in its turn."""
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await begin(ws)
        (connection,) = running.websockets
        unread = 0

        async def watch() -> None:
            nonlocal unread
            while True:
                unread = max(unread, len(connection._unread))
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        ws.transport.write(Frame(Opcode.BINARY, b"\0\0").serialize(mask=True, extensions=[]) * 100_000)
        await ws.send(encode(Stop()))
        done = (await heard_until(ws, Done))[-1]
        watching.cancel()
        assert isinstance(done, Done)
        assert done.samples.received == 100_000
        assert PIECE_BYTES < unread < 600_000


async def test_pings_whose_answers_nobody_reads_close_the_connection() -> None:
    limits = SocketLimits(unsent_bytes=100_000)
    async with serving(FakeBackend(), limits) as running, running.socket() as ws:
        await begin(ws)
        ws.transport.pause_reading()
        ping = Frame(Opcode.PING, b"x" * 125).serialize(mask=True, extensions=[]) * 1_000
        async with asyncio.timeout(CLOSED_S):
            while running.connections:
                ws.transport.write(ping)
                await asyncio.sleep(0.01)
        ws.transport.abort()


async def test_a_websocket_that_was_refused_does_not_linger() -> None:
    """It neither reads the close nor closes."""
    limits = SocketLimits(close_s=SOON_S)
    async with serving(FakeBackend(), limits) as running, running.socket() as ws:
        ws.transport.pause_reading()
        await ws.send("{")
        await gone(running)
        ws.transport.abort()


async def test_a_client_whose_audio_is_not_read_for_long_is_not_taken_for_dead() -> None:
    """Its pong lies behind its audio."""
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await begin(ws)
        (connection,) = running.websockets
        connection.read_paused = True
        connection.send_keepalive_ping()
        connection.keepalive_timeout()
        connection.read_paused = False
        assert not connection.transport.is_closing()
        await ws.send(encode(Stop()))
        await heard_until(ws, Done)


async def test_but_one_that_says_nothing_is() -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await begin(ws)
        (connection,) = running.websockets
        connection.send_keepalive_ping()
        connection.keepalive_timeout()
        assert await close_code(ws) in (1006, 1011)
