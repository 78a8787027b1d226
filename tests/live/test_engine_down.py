"""A service whose engine fails: who waits is told, nobody new comes in, and all is well by itself when it is back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from cohear_client import protocol
from cohear_client.protocol import Done, Error, Final, Ready, Start, Stop, encode
from cohear_testing.fake import FakeBackend, FakeOptions

from ..serving import Running, burst, heard_until, quiet, serving

SPEECH = quiet(0.5) + burst(1.2) + quiet(0.8)
BOUND_S = 60.0


async def asked(running: Running, path: str) -> tuple[int, dict[str, object]]:
    host, port = running.address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    head, body = (await reader.read()).split(b"\r\n\r\n", 1)
    writer.close()
    return int(head.split()[1]), json.loads(body)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 (the condition has no event)
            await asyncio.sleep(0.02)


async def transcribed(running: Running) -> list[protocol.ServerMessage]:
    async with running.socket() as ws:
        await ws.send(encode(Start()))
        await heard_until(ws, Ready)
        for at in range(0, len(SPEECH), 6400):
            await ws.send(SPEECH[at : at + 6400])
        await ws.send(encode(Stop()))
        return await heard_until(ws, Done)


@pytest.mark.parametrize("fault", [RuntimeError("it exploded"), ValueError("bad tensor"), MemoryError()])
async def test_it_is_not_ready_while_the_engine_fails_and_ready_again_by_itself(fault: Exception) -> None:
    options = FakeOptions()
    async with serving(FakeBackend(options)) as running:
        assert (await asked(running, "/readyz"))[0] == 200
        options.raises = fault
        messages = await transcribed(running)
        lost = [message for message in messages if isinstance(message, Error)]
        assert [(one.code, one.fatal) for one in lost] == [("backend_unavailable", False)]
        await until(lambda: running.service.state == "engine down")
        assert (await asked(running, "/readyz")) == (503, {"status": "engine down"})
        status = (await asked(running, "/v1/status"))[1]
        engine = status["engine"]
        assert isinstance(engine, dict)
        assert (engine["up"], engine["hung"]) == (False, 0)
        assert type(fault).__name__ in str(engine["last_fault"])
        async with running.socket() as ws:
            await ws.send(encode(Start()))
            refused = (await heard_until(ws, Error))[-1]
            assert isinstance(refused, Error)
            assert refused.code == "engine_down"
        options.raises = None
        await until(lambda: running.service.state == "ready")
        assert (await asked(running, "/readyz"))[0] == 200
        assert [message for message in await transcribed(running) if isinstance(message, Final)]


async def test_what_decoding_costs_here_is_told() -> None:
    async with serving(FakeBackend()) as running:
        await transcribed(running)
        engine = (await asked(running, "/v1/status"))[1]["engine"]
    assert isinstance(engine, dict)
    assert engine["largest_batch"] >= 1
    assert set(engine["costs"]["fake"]) >= {"encode_ms", "step_ms", "word_times_ms", "tokens_a_second"}
