from __future__ import annotations

import asyncio

import pytest
from cohear_client import ServerError, connect
from cohear_client.protocol import Limits, Stats

from .fake_server import FakeServer, Script


async def test_a_silent_client_says_that_it_is_there() -> None:
    """The server answers each keepalive with `stats`."""
    script = Script(limits=Limits(idle_timeout_s=0.1))
    async with FakeServer(script).running() as server, connect(server.url) as stream:
        for _ in range(2):
            assert isinstance(await anext(stream), Stats)


async def test_a_connection_on_which_nothing_comes_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cohear_client.link.DEAD_S", 0.2)
    hold = asyncio.Event()
    async with FakeServer(Script(hold=hold)).running() as server, connect(server.url) as stream:
        with pytest.raises(ServerError, match="connection was lost"):
            await anext(stream)
        hold.set()


async def test_bytes_of_any_kind_are_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers to pings, here: the server says nothing else."""
    monkeypatch.setattr("cohear_client.link.DEAD_S", 1.5)
    monkeypatch.setattr("cohear_client.connection.PING_S", 0.05)
    hold = asyncio.Event()
    async with FakeServer(Script(hold=hold)).running() as server, connect(server.url) as stream:
        begun_s = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4.5):
                await anext(stream)
        assert asyncio.get_running_loop().time() - begun_s >= 4.5
        hold.set()
        await stream.stop()
        assert [event async for event in stream]
