"""`/v1/listen` over a real socket: the handshake, refusals, containers, and how streams end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile as sf
from cohear_server.access.keys import add_key
from cohear_testing.fake import FakeBackend
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ...serving import Running, burst, quiet, serving

SPEECH = quiet(0.5) + burst(1.0) + quiet(1.5)
RAW = "encoding=linear16&sample_rate=16000"


@contextlib.asynccontextmanager
async def listening(running: Running, query: str = RAW, **options: Any) -> AsyncIterator[ClientConnection]:
    async with connect(f"{running.url}/v1/listen?{query}", proxy=None, **options) as ws:
        yield ws


async def all_of(ws: ClientConnection) -> list[dict[str, Any]]:
    """Every message up to the close."""
    heard = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            heard.append(json.loads(await ws.recv()))
    return heard


async def send(ws: ClientConnection, audio: bytes, size: int = 3_201) -> None:
    for at in range(0, len(audio), size):
        await ws.send(audio[at : at + size])
        await asyncio.sleep(0)


def of(kind: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message for message in messages if message["type"] == kind]


async def test_a_stream_from_the_handshake_to_the_close() -> None:
    async with serving(FakeBackend()) as running:
        async with listening(running, RAW + "&interim_results=true&vad_events=true&utterance_end_ms=1000") as ws:
            assert ws.response is not None
            request_id = ws.response.headers["dg-request-id"]
            await ws.send(json.dumps({"type": "KeepAlive"}))
            await send(ws, SPEECH)
            first = [json.loads(await ws.recv())]
            while first[-1]["type"] != "Results" or not first[-1]["is_final"]:
                first.append(json.loads(await ws.recv()))
            await send(ws, quiet(0.2))
            await ws.send(json.dumps({"type": "CloseStream"}))
            messages = first + await all_of(ws)
            assert ws.close_code == 1000
        audio = SPEECH + quiet(0.2)
        assert messages[-1]["type"] == "Metadata"
        assert messages[-1]["request_id"] == request_id
        assert messages[-1]["duration"] == len(audio) / 32_000
        assert messages[-1]["sha256"] == hashlib.sha256(audio).hexdigest()
        assert len(of("SpeechStarted", messages)) == 1
        assert len(of("UtteranceEnd", messages)) == 1
        results = of("Results", messages)
        assert {one["metadata"]["request_id"] for one in results} == {request_id}
        finals = [one for one in results if one["is_final"]]
        assert len(finals) == 1
        assert finals[0]["channel"]["alternatives"][0]["transcript"].startswith("w0 w1")
    assert running.service.streams == {}


async def test_an_empty_message_ends_a_stream_as_older_clients_do() -> None:
    async with serving(FakeBackend()) as running, listening(running) as ws:
        await send(ws, SPEECH)
        await ws.send(b"")
        messages = await all_of(ws)
        assert messages[-1]["type"] == "Metadata"
        assert ws.close_code == 1000


async def test_finalize_is_acknowledged_with_and_without_speech() -> None:
    async with serving(FakeBackend()) as running, listening(running) as ws:
        await ws.send(json.dumps({"type": "Finalize"}))
        empty = json.loads(await ws.recv())
        assert (empty["is_final"], empty["from_finalize"]) == (True, True)
        await send(ws, quiet(0.5) + burst(1.0))
        await ws.send(json.dumps({"type": "Finalize"}))
        spoken = json.loads(await ws.recv())
        assert spoken["from_finalize"]
        assert spoken["channel"]["alternatives"][0]["words"]
        await ws.send(json.dumps({"type": "CloseStream"}))
        assert not of("Results", await all_of(ws))


@pytest.mark.parametrize("query", ["encoding=linear16", "encoding=speex&sample_rate=8000", RAW + "&language=tlh"])
async def test_a_wrong_request_is_refused_before_the_socket_opens(query: str) -> None:
    async with serving(FakeBackend()) as running:
        with pytest.raises(InvalidStatus) as refused:
            async with listening(running, query):
                pass
        assert refused.value.response.status_code == 400
        assert refused.value.response.headers["dg-request-id"]
        told = json.loads(refused.value.response.body)
        assert told["err_code"] == "Bad Request"
        assert told["err_msg"].startswith("field ")
        assert told["request_id"]
        assert running.service.streams == {}


async def test_a_full_server_says_when_to_come_back() -> None:
    async with serving(FakeBackend(), max_streams=1) as running, listening(running) as first:
        with pytest.raises(InvalidStatus) as refused:
            async with listening(running):
                pass
        assert refused.value.response.status_code == 429
        assert int(refused.value.response.headers["retry-after"]) >= 1
        await send(first, SPEECH)
        await first.send(json.dumps({"type": "CloseStream"}))
        assert of("Metadata", await all_of(first))


async def test_a_page_of_another_origin_is_refused() -> None:
    async with serving(FakeBackend()) as running:
        with pytest.raises(InvalidStatus) as refused:
            async with listening(running, origin="https://elsewhere.example"):
                pass
        assert refused.value.response.status_code == 403


async def test_keys_come_as_deepgrams_clients_send_them(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    secret = add_key(keys, "ada")
    async with serving(FakeBackend(), keys=str(keys)) as running:
        for header in (f"Token {secret}", f"token {secret}", f"Bearer {secret}"):
            async with listening(running, additional_headers={"authorization": header}):
                pass
        for scheme in ("token", "bearer"):
            async with listening(running, subprotocols=[scheme, secret]) as ws:
                assert ws.subprotocol == scheme
        for headers in ({}, {"authorization": "Token wrong"}):
            with pytest.raises(InvalidStatus) as refused:
                async with listening(running, additional_headers=headers):
                    pass
            assert refused.value.response.status_code == 401
            assert json.loads(refused.value.response.body)["err_code"] == "INVALID_AUTH"
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"http://{running.address}/v1/listen", headers={"authorization": "Token no"})
            assert (answer.status_code, answer.json()["err_code"]) == (401, "INVALID_AUTH")


def packed(kind: str, subtype: str | None = None, rate_hz: int = 16_000) -> bytes:
    """`SPEECH` in a container, as stereo."""
    samples = np.frombuffer(SPEECH, "<i2")
    out = io.BytesIO()
    sf.write(out, np.stack([samples, samples], axis=1), rate_hz, format=kind, subtype=subtype)
    return out.getvalue()


@pytest.mark.parametrize(
    ("query", "audio", "seconds"),
    [
        ("", packed("WAV"), 3.0),
        ("model=nova-3", packed("FLAC"), 3.0),
        ("encoding=flac&sample_rate=16000", packed("FLAC", rate_hz=48_000), 1.0),
        ("encoding=ogg-opus", packed("OGG", "OPUS"), 3.0),
        ("", packed("OGG", "VORBIS"), 3.0),
        ("", packed("MP3"), 3.0),
    ],
)
async def test_containers_are_unpacked_as_they_come(query: str, audio: bytes, seconds: float) -> None:
    async with serving(FakeBackend()) as running, listening(running, query) as ws:
        await send(ws, audio, 1_000)
        await ws.send(json.dumps({"type": "CloseStream"}))
        messages = await all_of(ws)
        assert messages[-1]["type"] == "Metadata"
        assert messages[-1]["duration"] == pytest.approx(seconds, abs=0.1)
        assert messages[-1]["sha256"] == hashlib.sha256(audio).hexdigest()
        assert of("Results", messages)
        assert ws.close_code == 1000


async def test_a_container_is_heard_before_it_ends() -> None:
    async with serving(FakeBackend()) as running, listening(running, "") as ws:
        await send(ws, packed("WAV"), 1_000)
        (results,) = of("Results", [json.loads(await ws.recv())])
        assert results["is_final"]
        await ws.send(json.dumps({"type": "Finalize"}))
        assert json.loads(await ws.recv())["from_finalize"]


async def test_two_files_behind_each_other_are_both_heard() -> None:
    async with serving(FakeBackend()) as running, listening(running, "") as ws:
        for _ in range(2):
            await ws.send(packed("FLAC"))
            await asyncio.sleep(0)
        await ws.send(json.dumps({"type": "CloseStream"}))
        messages = await all_of(ws)
        assert messages[-1]["duration"] == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize("audio", [b"\0" * 40_000, b"this is no audio " * 3_000, packed("WAV")[:20], b"x"])
async def test_what_is_no_container_ends_its_stream_alone(audio: bytes) -> None:
    async with serving(FakeBackend()) as running, listening(running) as other:
        async with listening(running, "") as ws:
            await send(ws, audio)
            await ws.send(json.dumps({"type": "CloseStream"}))
            messages = await all_of(ws)
            assert of("Error", messages)[0]["variant"] == "DATA-0000"
            assert messages[-1]["type"] == "Metadata"
            assert ws.close_code == 1008
        await send(other, SPEECH)
        await other.send(json.dumps({"type": "CloseStream"}))
        assert of("Results", await all_of(other))


async def test_a_silent_client_is_closed_with_the_code_that_clients_know() -> None:
    async with serving(FakeBackend(), idle_timeout_s=1.0) as running, listening(running) as ws:
        messages = await all_of(ws)
        assert of("Error", messages)[0]["variant"] == "NET-0001"
        assert ws.close_code == 1011


async def test_a_wrong_message_does_not_end_a_stream() -> None:
    async with serving(FakeBackend()) as running, listening(running) as ws:
        await ws.send("{")
        assert json.loads(await ws.recv())["variant"] == "SchemaError"
        await send(ws, SPEECH)
        await ws.send(json.dumps({"type": "CloseStream"}))
        assert of("Results", await all_of(ws))
