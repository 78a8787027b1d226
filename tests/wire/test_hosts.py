"""A server answers to its own names only: a page that had its name's address changed to ours gets nothing."""

from __future__ import annotations

import socket

import httpx
import pytest
from cohear_client import protocol
from cohear_client.protocol import Ready, Start, encode
from cohear_server.config import ServerConfig
from cohear_server.errors import ClientError
from cohear_server.wire.hosts import host_allowed, known_names
from cohear_testing.fake import FakeBackend
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from ..serving import heard_until, serving


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8765", True),
        ("10.0.0.7:8765", True),
        ("[::1]", True),
        ("[::1]:8765", True),
        ("localhost", True),
        ("LOCALHOST:8765", True),
        ("localhost.", True),
        ("a.example:443", True),
        ("evil.example", False),
        ("evil.example:8765", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("a.example.evil.example", False),
        ("[evil.example]", False),
        ("[::1]evil.example", False),
        ("", False),
        (":8765", False),
        ("a b", False),
    ],
)
def test_by_which_names_it_goes(host: str, *, allowed: bool) -> None:
    assert host_allowed(host, known_names(ServerConfig(allowed_hosts="A.example"))) is allowed


def test_its_own_name_and_all_names() -> None:
    assert host_allowed(socket.gethostname(), known_names(ServerConfig()))
    assert host_allowed("speech.local", known_names(ServerConfig(host="speech.local")))
    assert host_allowed("any.example", known_names(ServerConfig(allowed_hosts="*")))
    assert not host_allowed("", known_names(ServerConfig(host="")))


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/v1/info", "/v1/status", "/web/cohear.js"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80"])
async def test_another_name_gets_an_answer_that_says_what_to_do(path: str, host: str) -> None:
    async with serving(FakeBackend()) as running, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{running.address}{path}", headers={"host": host})
        assert answer.status_code == 421
        assert answer.json()["code"] == "unknown_host"
        assert "--allowed-hosts" in answer.json()["remedy"]


async def test_a_websocket_of_another_name_is_refused_though_its_page_is_of_that_name() -> None:
    async with serving(FakeBackend(), allowed_hosts="good.example") as running:
        host, port = running.address.rsplit(":", 1)
        for name, status in (("evil.example", 421), ("good.example", 101)):
            opening = connect(
                f"ws://{name}{protocol.PATH}",
                sock=socket.create_connection((host, int(port))),
                origin=Origin(f"http://{name}"),
                proxy=None,
            )
            if status == 421:
                with pytest.raises(InvalidStatus, match="421"):
                    await opening
                continue
            async with opening as ws:
                await ws.send(encode(Start()))
                await heard_until(ws, Ready)


@pytest.mark.parametrize("text", ["http://a.example", "a.example:80", "a b", "-a"])
def test_a_wrong_name_in_the_settings(text: str) -> None:
    with pytest.raises(ClientError, match="'allowed_hosts'"):
        ServerConfig(allowed_hosts=text)
