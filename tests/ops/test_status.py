"""`/v1/status` of a running server."""

from __future__ import annotations

import httpx
from cohear_client.protocol import Ready, Start, encode
from cohear_server.app import create_app
from cohear_server.config import ServerConfig
from cohear_server.live.service import Service
from cohear_testing.fake import FakeBackend

from ..serving import heard_until, serving


async def test_it_says_who_is_here_and_how_much_room_there_is() -> None:
    async with serving(FakeBackend(), max_streams=9) as running, running.socket() as ws:
        await ws.send(encode(Start()))
        await heard_until(ws, Ready)
        await ws.send("nonsense")
        async with httpx.AsyncClient(base_url=f"http://{running.address}", trust_env=False) as client:
            answer = await client.get("/v1/status")
        assert answer.headers["cache-control"] == "no-store"
        status = answer.json()
    assert status["state"] == "ready"
    assert status["model"] == "fake"
    assert status["streams"] == {"live": 1, "detached": 0, "capacity": 9, "limit": 9}
    assert status["partials"] == "usual"
    assert status["cache"] is None
    assert status["last_minute"]["first_partial_ms"] == {"p50": None, "p95": None, "p99": None}
    assert status["history"]["step_s"] == 5


async def test_it_is_there_before_the_model_is() -> None:
    transport = httpx.ASGITransport(create_app(Service(ServerConfig(), FakeBackend())))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        status = (await client.get("/v1/status")).json()
    assert status["state"] == "warming up"
    assert status["model"] is None
