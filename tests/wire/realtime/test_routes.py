"""The way in over real sockets: each place for a key, subprotocols, client secrets, and how long a message may be."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cohear_server.access.keys import add_key, revoke_key
from cohear_server.wire.realtime.requests import MAX_APPEND_BYTES
from cohear_testing.fake import FakeBackend
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from ...serving import Running, serving
from .sessions import append, buffer, update


@contextlib.asynccontextmanager
async def opened(running: Running, query: str = "", *kinds: str, **headers: str) -> AsyncIterator[ClientConnection]:
    """A socket to `/v1/realtime` that offers these subprotocols."""
    options: dict[str, Any] = {"subprotocols": [Subprotocol(kind) for kind in kinds] or None}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{running.url}/v1/realtime{query}"
    async with connect(url, proxy=None, compression=None, additional_headers=named, **options) as socket:
        yield socket


async def heard(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await socket.recv())
    return message


async def post(
    running: Running, body: Any = None, key: str = "", path: str = "/v1/realtime/client_secrets"
) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    async with httpx.AsyncClient(base_url=f"http://{running.address}", trust_env=False) as client:
        return await client.post(path, content=content, headers=headers)


@pytest.mark.parametrize("query", ["", "?intent=transcription", "?model=gpt-4o-transcribe", "?model=x&intent=y"])
async def test_it_opens_in_every_way(query: str) -> None:
    async with serving(FakeBackend()) as running, opened(running, query) as socket:
        assert (await heard(socket))["type"] == "session.created"


@pytest.mark.parametrize(
    ("kinds", "headers"),
    [(["realtime", "openai-beta.realtime-v1"], {}), (["realtime"], {"OpenAI_Beta": "realtime=v1"})],
)
async def test_the_beta_is_asked_for_by_a_header_or_a_subprotocol(kinds: list[str], headers: dict[str, str]) -> None:
    async with serving(FakeBackend()) as running, opened(running, "", *kinds, **headers) as socket:
        assert (await heard(socket))["type"] == "transcription_session.created"
        assert socket.subprotocol == "realtime"


async def test_keys_and_client_secrets_let_in_and_nothing_else_does(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    key = add_key(file, "a")
    async with serving(FakeBackend(), keys=str(file)) as running:
        secret = (await post(running, key=key)).json()["value"]
        for kinds, headers in (
            ([], {"Authorization": f"Bearer {key}"}),
            ([], {"Authorization": f"Bearer {secret}"}),
            (["realtime", f"openai-insecure-api-key.{key}"], {}),
            (["realtime", f"openai-insecure-api-key.{secret}"], {}),
        ):
            async with opened(running, "", *kinds, **headers) as socket:
                assert (await heard(socket))["type"] == "session.created"
        for wrong in ([], ["realtime"], ["realtime", "openai-insecure-api-key.ek_wrong"]):
            with pytest.raises(InvalidStatus, match="401"):
                async with opened(running, "", *wrong):
                    pass
        unknown = await post(running)
        assert unknown.status_code == 401
        assert unknown.json()["error"]["code"] == "invalid_api_key"
        assert (await post(running, key=secret)).status_code == 401, "a secret gets no other one"
        revoke_key(file, "a")
        with pytest.raises(InvalidStatus, match="401"):
            async with opened(running, "", "realtime", f"openai-insecure-api-key.{secret}"):
                pass


async def test_a_client_secret_brings_the_settings_of_its_session() -> None:
    wanted = {"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None}}}
    async with serving(FakeBackend()) as running:
        answer = await post(running, {"expires_after": {"anchor": "created_at", "seconds": 60}, "session": wanted})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        told = answer.json()
        assert told["value"].startswith("ek_")
        assert told["session"]["audio"]["input"]["format"] == {"type": "audio/pcmu"}
        async with opened(running, "", "realtime", f"openai-insecure-api-key.{told['value']}") as socket:
            session = (await heard(socket))["session"]
        assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}
        assert session["audio"]["input"]["turn_detection"] is None


async def test_the_beta_has_its_own_path_and_shape_for_them() -> None:
    wanted = {"input_audio_format": "g711_ulaw", "turn_detection": None}
    async with serving(FakeBackend()) as running:
        session = (await post(running, wanted, path="/v1/realtime/transcription_sessions")).json()
        secret = session["client_secret"]["value"]
        assert session["input_audio_format"] == "g711_ulaw"
        async with opened(running, "", "realtime", f"openai-insecure-api-key.{secret}") as socket:
            told = (await heard(socket))["session"]
        assert told["audio"]["input"]["format"] == {"type": "audio/pcmu"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        ({"expires_after": {"seconds": 5}}, 400),
        ({"session": {"audio": {"input": {"format": {"type": "audio/mp3"}}}}}, 400),
        (b" " * 70_000, 413),
    ],
)
async def test_a_wrong_request_for_one_has_the_error_that_sdks_read(body: Any, status: int) -> None:
    async with serving(FakeBackend()) as running:
        answer = await post(running, body)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_an_append_may_be_fifteen_mebibytes_and_no_more() -> None:
    async with serving(FakeBackend()) as running, opened(running) as socket:
        await heard(socket)
        await socket.send(update(turn_detection=None))
        await socket.send(append(bytes(MAX_APPEND_BYTES)))
        await socket.send(buffer("commit"))
        kinds = [(await heard(socket))["type"] for _ in range(5)]
        assert kinds[-1].endswith("transcription.completed")
        with contextlib.suppress(ConnectionClosed):
            await socket.send("x" * 2 * MAX_APPEND_BYTES)
        with pytest.raises(ConnectionClosed):
            await heard(socket)
        assert socket.close_code == 1009


async def test_a_full_server_refuses_before_it_opens() -> None:
    async with serving(FakeBackend(), max_streams=1) as running, opened(running) as first:
        await heard(first)
        with pytest.raises(InvalidStatus) as refused:
            async with opened(running):
                pass
    response = refused.value.response
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) > 0
    assert json.loads(response.body or b"")["error"]["code"] == "overloaded"


async def test_pages_of_strangers_may_not() -> None:
    async with serving(FakeBackend()) as running:
        with pytest.raises(InvalidStatus, match="403"):
            async with opened(running, Origin="http://evil.example"):
                pass


async def test_a_server_that_is_not_ready_says_when_to_come_back() -> None:
    async with serving(FakeBackend()) as running:
        running.service.ready = False
        with pytest.raises(InvalidStatus, match="503"):
            async with opened(running):
                pass
        answer = await post(running)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        running.service.ready = True
