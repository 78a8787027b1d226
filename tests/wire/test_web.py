"""What the server tells browsers: files with their headers, `/v1/info`, and whose pages may stream."""

from __future__ import annotations

import re

import httpx
import pytest
from cohear_client import protocol
from cohear_client.protocol import Ready, Start, encode
from cohear_server.app import create_app
from cohear_server.config import ServerConfig
from cohear_server.errors import ClientError
from cohear_server.live.service import Service
from cohear_server.wire.web import security_headers
from cohear_testing.fake import FakeBackend
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from ..serving import Running, heard_until, serving

ALLOWED = "https://app.example"


async def get(running: Running, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://{running.address}", trust_env=False) as client:
        return await client.get(path, headers=headers)


async def test_the_page_and_all_that_it_names_come_with_strict_headers() -> None:
    async with serving(FakeBackend()) as running:
        page = await get(running, "/")
        assert page.headers["content-type"].startswith("text/html")
        named = re.findall(r'(?:src|href)="(web/[^"]+)"', page.text)
        assert len(named) >= 3
        for path in ("", *named):
            answer = await get(running, f"/{path}")
            assert answer.status_code == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
            assert f"connect-src 'self' ws://{running.address} wss://{running.address};" in policy
            assert "unsafe" not in policy


async def test_the_page_has_no_inline_script_or_style() -> None:
    async with serving(FakeBackend()) as running:
        text = (await get(running, "/")).text
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


@pytest.mark.parametrize("path", ["/web/nothing.js", "/web/../protocol.py", "/web/%2e%2e/protocol.py", "/web/"])
async def test_nothing_else_is_served(path: str) -> None:
    async with serving(FakeBackend()) as running:
        assert (await get(running, path)).status_code == 404


@pytest.mark.parametrize("host", ["a.example; script-src *", "a b", "", "[::1", "a,b"])
def test_a_strange_host_header_gets_into_no_policy(host: str) -> None:
    assert "connect-src 'self';" in security_headers(host)["content-security-policy"]


async def test_info_says_what_can_be_asked_for() -> None:
    async with serving(FakeBackend(), max_streams=7) as running:
        info = (await get(running, "/v1/info")).json()
    assert info["model"] == "fake"
    (model,) = info["models"]
    assert model["languages"] == ["en"]
    assert model["translates"] is False
    assert model["short_windows"] is True
    assert info["limits"]["max_streams"] == 7
    assert info["limits"]["max_frame_bytes"] == protocol.MAX_FRAME_BYTES
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", info["version"])


async def test_info_before_the_model_is_loaded() -> None:
    transport = httpx.ASGITransport(create_app(Service(ServerConfig(), FakeBackend())))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/v1/info")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("origin", "settings", "accepted"),
    [
        (None, "", True),
        ("http://{host}", "", True),
        ("https://{host}", "", True),
        ("http://evil.example", "", False),
        ("http://evil.example", ALLOWED, False),
        ("null", ALLOWED, False),
        (ALLOWED, ALLOWED, True),
        (ALLOWED, f"http://b.example, {ALLOWED.upper()}", True),
        ("http://evil.example", "*", True),
    ],
)
async def test_whose_pages_may_stream(origin: str | None, settings: str, accepted: bool) -> None:
    async with serving(FakeBackend(), allowed_origins=settings) as running:
        told = Origin(origin.format(host=running.address)) if origin else None
        opening = connect(running.url + protocol.PATH, proxy=None, origin=told)
        if not accepted:
            with pytest.raises(InvalidStatus, match="403"):
                await opening
            return
        async with opening as socket:
            await socket.send(encode(Start()))
            (ready,) = await heard_until(socket, Ready)
            assert isinstance(ready, Ready)


async def test_modules_are_shared_with_allowed_pages_alone() -> None:
    async with serving(FakeBackend(), allowed_origins=ALLOWED) as running:
        ours = await get(running, "/web/cohear.js", origin=ALLOWED)
        others = await get(running, "/web/cohear.js", origin="https://evil.example")
    assert ours.headers["access-control-allow-origin"] == ALLOWED
    assert "access-control-allow-origin" not in others.headers


async def test_a_token_as_second_subprotocol_is_no_hindrance() -> None:
    async with serving(FakeBackend()) as running:
        kinds = [Subprotocol(protocol.SUBPROTOCOL), Subprotocol("cohear.token.secret")]
        async with connect(running.url + protocol.PATH, proxy=None, subprotocols=kinds) as socket:
            assert socket.subprotocol == protocol.SUBPROTOCOL


@pytest.mark.parametrize("text", ["a.example", "https://", "https://a.example/path", "ftp://a.example"])
def test_a_wrong_origin_in_the_settings(text: str) -> None:
    with pytest.raises(ClientError, match="'allowed_origins'"):
        ServerConfig(allowed_origins=text)
