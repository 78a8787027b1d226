"""A server with keys, over real sockets: closed to all who have none, open to its own files, quick to forget a key."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cohear_client import ClientError, Final, connect, protocol
from cohear_client.protocol import Done, Error, Ready, Start, Stop, encode
from cohear_server.access.keys import add_key, revoke_key
from cohear_server.access.revocations import Revocations
from cohear_server.wire.credentials import TOKEN_PREFIX
from cohear_server.wire.local import open_stream
from cohear_testing.fake import FakeBackend
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as plain_connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from ..serving import Running, burst, heard_until, quiet, serving

ALLOWED = "https://app.example"
SPEECH = quiet(0.5) + burst(1.0) + quiet(0.8)
CLOSED = ["/metrics", "/v1/info", "/v1/status", "/v1/nothing", "/v1/stream", "/web", "/dashboard/", "/healthz/x"]


@dataclass(frozen=True, slots=True)
class Keyed:
    running: Running
    file: Path
    key: str
    operator: str

    async def request(self, method: str, path: str, key: str = "", **headers: str) -> httpx.Response:
        if key:
            headers["authorization"] = f"Bearer {key}"
        async with httpx.AsyncClient(base_url=f"http://{self.running.address}", trust_env=False) as client:
            return await client.request(method, path, headers=headers)

    async def token(self) -> str:
        token: str = (await self.request("POST", "/v1/token", self.key)).json()["token"]
        return token

    @contextlib.asynccontextmanager
    async def socket(self, secret: str = "", *, header: str = "", origin: str = "") -> AsyncIterator[ClientConnection]:
        kinds = [Subprotocol(protocol.SUBPROTOCOL), *([Subprotocol(TOKEN_PREFIX + secret)] if secret else [])]
        headers = {"Authorization": header} if header else {}
        url = self.running.url + protocol.PATH
        told = Origin(origin) if origin else None
        async with plain_connect(url, proxy=None, subprotocols=kinds, additional_headers=headers, origin=told) as ws:
            yield ws


@contextlib.asynccontextmanager
async def keyed(tmp_path: Path, **settings: object) -> AsyncIterator[Keyed]:
    file = tmp_path / "keys.toml"
    key, operator = add_key(file, "alice"), add_key(file, "watch", ["operate"])
    async with serving(FakeBackend(), keys=str(file), **settings) as running:
        yield Keyed(running, file, key, operator)


async def begin(ws: ClientConnection, start: Start | None = None) -> Ready:
    await ws.send(encode(start or Start()))
    (ready,) = await heard_until(ws, Ready)
    assert isinstance(ready, Ready)
    return ready


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
async def test_closed_without_a_key(tmp_path: Path, method: str) -> None:
    async with keyed(tmp_path) as server:
        for path in CLOSED:
            answer = await server.request(method, path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["code"] == "unauthorized"
            assert "Authorization: Bearer" in answer.json()["remedy"]


async def test_open_without_a_key(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        for path in ("/healthz", "/readyz", "/", "/dashboard", "/web/cohear.js", "/web/style.css"):
            assert (await server.request("GET", path)).status_code == 200, path
            assert (await server.request("POST", path)).status_code == 401, path


async def test_a_key_opens_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        assert (await server.request("GET", "/v1/info", server.key)).status_code == 200
        for wrong in (server.key[:-1], server.key + "x", "cohear_"):
            answer = await server.request("GET", "/v1/info", wrong)
            assert answer.status_code == 401
            assert "does not know that key" in answer.json()["message"]
        assert (await server.request("GET", "/v1/info", authorization=f"Basic {server.key}")).status_code == 401
        assert (await server.request("GET", f"/v1/info?key={server.key}")).status_code == 401
        assert 'refused_total{code="unauthorized"} 5' in (await server.request("GET", "/metrics", server.operator)).text


async def test_each_key_is_good_for_its_scopes_and_so_are_its_tokens(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        token = (await server.request("POST", "/v1/token", server.operator)).json()["token"]
        for secret, status in ((server.operator, 200), (token, 200), (server.key, 403), (await server.token(), 403)):
            for path in ("/metrics", "/v1/status"):
                answer = await server.request("GET", path, secret)
                assert answer.status_code == status
                assert status == 200 or answer.json()["code"] == "forbidden"
                assert status == 200 or "--scope operate" in answer.json()["remedy"]
        for secret in (server.operator, token):
            assert (await server.request("GET", "/v1/info", secret)).status_code == 403
            with pytest.raises(InvalidStatus, match="403"):
                async with server.socket(header=f"Bearer {secret}"):
                    pass


async def test_a_key_that_is_good_for_less_loses_its_streams(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server, server.socket(header=f"Bearer {server.key}") as ws:
        await begin(ws)
        text = server.file.read_text()
        server.file.write_text(text.replace('name = "alice"', 'name = "alice"\nscopes = ["stream", "operate"]'))
        assert (await server.request("GET", "/metrics", server.key)).status_code == 200
        assert len(server.running.service.streams) == 1
        server.file.write_text(text.replace('name = "alice"', 'name = "alice"\nscopes = ["operate"]'))
        messages = await heard_until(ws, Done)
        assert [m.code for m in messages if isinstance(m, Error)] == ["key_revoked"]


async def test_a_stream_is_its_key_s(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server, server.socket(header=f"bearer {server.key}") as ws:
        await begin(ws)
        (stream,) = server.running.service.streams.values()
        assert stream.caller.tenant == stream.session.options.tenant == "alice"


@pytest.mark.parametrize("secret", ["", "wrong", "cohear_wrong"])
async def test_a_websocket_is_refused_before_it_is_accepted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, secret: str
) -> None:
    async with keyed(tmp_path) as server:
        logging.getLogger("uvicorn.error").addHandler(caplog.handler)
        with pytest.raises(InvalidStatus) as refused:
            async with server.socket(secret):
                pass
        assert refused.value.response.status_code == 401
        assert b'"remedy"' in refused.value.response.body
    logging.getLogger("uvicorn.error").removeHandler(caplog.handler)
    assert not caplog.records, "whoever knocks does not fill the log"


async def test_a_browser_s_websocket_names_a_token_as_subprotocol(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server, server.socket(await server.token()) as ws:
        assert ws.subprotocol == protocol.SUBPROTOCOL, "the token is not sent back"
        await begin(ws)
        (stream,) = server.running.service.streams.values()
        assert stream.caller.tenant == "alice"


async def test_a_token_opens_what_a_key_does_but_gets_no_other_token(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        token = await server.token()
        assert (await server.request("GET", "/v1/info", token)).status_code == 200
        answer = await server.request("POST", "/v1/token", token)
        assert answer.status_code == 403
        assert "with the key" in answer.json()["remedy"]
        revoke_key(server.file, "alice")
        assert (await server.request("GET", "/v1/info", token)).status_code == 401


async def test_pages_of_allowed_hosts_may_ask_for_tokens(tmp_path: Path) -> None:
    async with keyed(tmp_path, allowed_origins=ALLOWED) as server:
        asks = {"origin": ALLOWED, "access-control-request-method": "POST"}
        answer = await server.request("OPTIONS", "/v1/token", **asks)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == ALLOWED
        assert "authorization" in answer.headers["access-control-allow-headers"]
        token = await server.request("POST", "/v1/token", server.key, origin=ALLOWED)
        refused = await server.request("POST", "/v1/token", "wrong", origin=ALLOWED)
        assert token.headers["access-control-allow-origin"] == ALLOWED
        assert refused.headers["access-control-allow-origin"] == ALLOWED
        stranger = await server.request("OPTIONS", "/v1/token", **{**asks, "origin": "https://evil.example"})
        assert stranger.status_code == 403
        assert "access-control-allow-origin" not in stranger.headers
        with pytest.raises(InvalidStatus, match="403"):
            async with server.socket(token.json()["token"], origin="https://evil.example"):
                pass


async def test_a_new_key_holds_without_a_restart(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        bob = add_key(server.file, "bob")
        assert (await server.request("GET", "/v1/info", bob)).status_code == 200


async def test_a_revoked_key_s_streams_end_in_order_and_no_others(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        bob = add_key(server.file, "bob")
        async with server.socket(header=f"Bearer {server.key}") as ws, server.socket(header=f"Bearer {bob}") as other:
            await begin(ws)
            await begin(other)
            for audio in (SPEECH[: len(SPEECH) // 4 * 2],):
                await ws.send(audio)
            await ws.send(encode(protocol.Finalize("here")))
            await heard_until(ws, protocol.Finalized)
            await ws.send(burst(1.0))
            await heard_until(ws, protocol.Partial)
            revoke_key(server.file, "alice")
            messages = await heard_until(ws, Done)
            assert [m.code for m in messages if isinstance(m, Error)] == ["key_revoked"]
            assert [type(m) for m in messages if isinstance(m, Final)] == [Final], "what was said before is final"
            await other.send(encode(Stop()))
            assert not [m for m in await heard_until(other, Done) if isinstance(m, Error)]


async def test_a_key_made_anew_under_the_old_name_is_another_key(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server, server.socket(header=f"Bearer {server.key}") as ws:
        ready = await begin(ws)
        revoke_key(server.file, "alice")
        second = add_key(server.file, "alice")
        async with server.socket(header=f"Bearer {second}") as thief:
            claim = protocol.Resume(ready.session_id, ready.token)
            await thief.send(encode(Start(resume=claim)))
            (error,) = await heard_until(thief, Error)
            assert isinstance(error, Error)
            assert error.code == "unknown_session"
        messages = await heard_until(ws, Done)
        assert [m.code for m in messages if isinstance(m, Error)] == ["key_revoked"]


async def test_a_stream_without_a_connection_goes_with_its_key(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server:
        async with server.socket(header=f"Bearer {server.key}") as ws:
            await begin(ws)
            ws.transport.abort()
            # the writer sees the loss when the outbox is closed, and lets go of the stream
            (stream,) = server.running.service.streams.values()
            await stream.outbox.closed.wait()
        revoke_key(server.file, "alice")
        await server.running.service.vacant.wait()


async def test_a_damaged_file_leaves_the_keys_as_they_were(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with keyed(tmp_path) as server:
        good = server.file.read_text()
        server.file.write_text("[[key")
        assert (await server.request("GET", "/v1/info", server.key)).status_code == 200
        assert "stay as they were" in caplog.text
        server.file.unlink()
        assert (await server.request("GET", "/v1/info", server.key)).status_code == 200
        server.file.write_text(good.replace("alice", "alina"))
        os.chmod(server.file, 0o600)
        assert (await server.request("GET", "/v1/info", server.key)).status_code == 200


async def test_streams_of_this_process_need_no_key(tmp_path: Path) -> None:
    async with keyed(tmp_path) as server, open_stream(server.running.service, Start()) as stream:
        (known,) = [c for c in server.running.service.companions if isinstance(getattr(c, "__self__", 0), Revocations)]
        known.__self__.enforce()  # type: ignore[attr-defined]
        await stream.stop()
        assert not [m async for m in stream if isinstance(m, Error)]


async def test_the_client_brings_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keyed(tmp_path) as server:
        url = server.running.url
        monkeypatch.delenv("COHEAR_API_KEY", raising=False)
        with pytest.raises(ClientError, match=r"asks for an API key.*COHEAR_API_KEY"):
            async with connect(url):
                pass
        with pytest.raises(ClientError, match="does not take this API key"):
            async with connect(url, api_key="cohear_wrong"):
                pass
        with pytest.raises(ClientError, match="characters that no key has"):
            async with connect(url, api_key="a\r\nHost: b"):
                pass
        async with connect(url, api_key=server.key) as stream:
            await stream.stop()
        monkeypatch.setenv("COHEAR_API_KEY", server.key)
        async with connect(url) as stream:
            await stream.send(SPEECH)
            await stream.stop()
            assert [event async for event in stream if isinstance(event, Final)]


async def test_no_log_holds_a_key_or_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with keyed(tmp_path) as server:
        token = await server.token()
        caplog.clear()  # httpx is no part of this
        async with connect(server.running.url, api_key=server.key) as stream:
            await stream.stop()
        with pytest.raises(ClientError):
            async with connect(server.running.url, api_key=token[:-1]):
                pass
        lines = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    assert lines, "debug messages are caught"
    assert not [line for line in lines if server.key in line or token[:-1] in line]
