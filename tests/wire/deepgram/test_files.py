"""Whole files on `POST /v1/listen`: any container or samples, the answer's shape, and refusals."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cohear_server.core.audio import AudioFormat
from cohear_server.wire.deepgram.files import wav_head
from cohear_testing.fake import FakeBackend

from ...serving import Running, serving
from .test_routes import SPEECH, packed


@contextlib.asynccontextmanager
async def asking(**settings: object) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    async with serving(FakeBackend(), **settings) as running:
        address = f"http://{running.address}"
        async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as client:
            yield running, client


async def listen(client: httpx.AsyncClient, body: bytes, query: str = "", **headers: str) -> httpx.Response:
    return await client.post(f"/v1/listen?{query}", content=body, headers=headers)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("model=nova-3", packed("WAV")),
        ("", packed("FLAC")),
        ("", packed("OGG", "OPUS")),
        ("encoding=linear16&sample_rate=16000", SPEECH),
        ("encoding=mulaw", bytes(24_000)),
    ],
)
async def test_a_file_is_heard(query: str, body: bytes) -> None:
    async with asking() as (_, client):
        answer = await listen(client, body, query, **{"content-type": "application/octet-stream"})
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    metadata = told["metadata"]
    assert metadata["request_id"] == answer.headers["dg-request-id"]
    assert metadata["sha256"] == hashlib.sha256(body).hexdigest()
    assert metadata["duration"] == pytest.approx(3.0, abs=0.05)
    (model,) = metadata["models"]
    assert metadata["model_info"][model]["arch"] == "whisper"
    (channel,) = told["results"]["channels"]
    assert set(channel["alternatives"][0]) == {"transcript", "confidence", "words"}
    assert "utterances" not in told["results"]


async def test_a_body_without_a_length_is_read_as_it_comes() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        body = packed("WAV")
        for at in range(0, len(body), 10_000):
            yield body[at : at + 10_000]

    async with asking() as (_, client):
        answer = await client.post("/v1/listen", content=pieces())
    assert answer.json()["metadata"]["duration"] == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("query", "body", "kind", "word"),
    [
        ("", b"", "audio/wav", "body"),
        ("", b"no audio at all", "audio/wav", "text"),
        ("", b"\1" * 5_000, "audio/wav", "format"),
        ("", b'{"url": "http://10.0.0.1/secret"}', "application/json", "url"),
        ("callback=http://10.0.0.1/", packed("WAV"), "audio/wav", "callback"),
        ("encoding=linear16", SPEECH, "audio/raw", "sample_rate"),
        ("multichannel=true", packed("WAV"), "audio/wav", "multichannel"),
        ("language=tlh", packed("WAV"), "audio/wav", "language"),
    ],
)
async def test_what_cannot_be_heard_is_refused(query: str, body: bytes, kind: str, word: str) -> None:
    async with asking() as (running, client):
        answer = await listen(client, body, query, **{"content-type": kind})
        assert answer.status_code == 400
        told = answer.json()
        assert told["err_code"] == "Bad Request"
        assert word in told["err_msg"]
        assert told["request_id"] == answer.headers["dg-request-id"]
        assert running.service.streams == {}
        assert (await listen(client, packed("WAV"))).status_code == 200


async def test_a_file_above_the_limit_is_refused() -> None:
    async with asking(max_upload_mb=1) as (_, client):
        large = await listen(client, bytes(2 << 20), "encoding=linear16&sample_rate=16000")
        assert (large.status_code, large.json()["err_code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_samples_get_a_head_that_tells_their_length() -> None:
    head = wav_head(AudioFormat(8_000, "mulaw", 2), 1_000)
    assert len(head) == 44
    assert head[40:] == (1_000).to_bytes(4, "little")
