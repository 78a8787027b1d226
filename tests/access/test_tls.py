"""The server with a certificate, and the client library at the other end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme
from cohear_client import Final, ServerError, connect
from cohear_server.access.keys import add_key
from cohear_server.app import ServerLoop
from cohear_testing.fake import FakeBackend

from ..serving import burst, quiet, serving

SPEECH = quiet(0.5) + burst(1.0) + quiet(0.8)


@dataclass(frozen=True, slots=True)
class Secure:
    host: str
    authority: Path
    """file of the certificate that signed the server's"""


@contextlib.asynccontextmanager
async def secure(folder: Path, **settings: object) -> AsyncIterator[Secure]:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    files = {"ssl_certfile": str(folder / "cert.pem"), "ssl_keyfile": str(folder / "key.pem")}
    async with serving(FakeBackend(), **files, **settings) as running:
        yield Secure(running.address, folder / "authority.pem")


@pytest.mark.parametrize("scheme", ["wss", "https"])
async def test_a_stream_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    key = add_key(tmp_path / "keys.toml", "a")
    async with secure(tmp_path, keys=str(tmp_path / "keys.toml")) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        async with connect(f"{scheme}://{server.host}", api_key=key) as stream:
            await stream.send(SPEECH)
            await stream.stop()
            assert [event async for event in stream if isinstance(event, Final)]


async def test_a_certificate_of_an_unknown_authority_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    async with secure(tmp_path) as server:
        with pytest.raises(ServerError) as refused:
            async with connect(f"wss://{server.host}"):
                pass
    assert refused.value.code == "bad_certificate"
    assert "SSL_CERT_FILE" in refused.value.remedy


async def test_a_client_that_speaks_no_tls_is_told_what_answers(tmp_path: Path) -> None:
    async with secure(tmp_path) as server:
        with pytest.raises(ServerError) as refused:
            async with connect(f"ws://{server.host}"):
                pass
    assert refused.value.code in ("not_cohear", "connection_failed")


async def test_pages_come_over_https(tmp_path: Path) -> None:
    async with secure(tmp_path) as server:
        context = ssl.create_default_context(cafile=str(server.authority))
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            answer = await client.get(f"https://{server.host}/")
    assert f"wss://{server.host}" in answer.headers["content-security-policy"]


def test_a_handshake_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that never speak would hold files that others need."""
    monkeypatch.setattr("cohear_server.app.HANDSHAKE_S", 0.2)

    async def scenario() -> bytes:
        async with secure(tmp_path) as server:
            host, port = server.host.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            got = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            return got

    with asyncio.Runner(loop_factory=ServerLoop) as runner:
        assert runner.run(scenario()) == b""
