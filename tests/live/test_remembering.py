"""A server that keeps what it heard: the same file again is not decoded again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from cohear_cli import main
from cohear_cli.remote import RemoteOptions, transcribe_remotely
from cohear_client.errors import ClientError
from cohear_client.fileevents import Finished
from cohear_server.config import ServerConfig
from cohear_server.engine.backend import DecodeBackend
from cohear_server.engine.cache import FILE_NAME, Cache
from cohear_server.engine.cached import CachedBackend
from cohear_server.engine.results import Results
from cohear_server.live.backend import make_backend
from cohear_testing.fake import FakeBackend
from msgspec.structs import replace

from ..batch.audio import write
from ..serving import Running, burst, quiet, serving

SEGMENTS = 4


def sentences(seed: int) -> bytes:
    """Segments of different lengths, with pauses that end each."""
    return b"".join(part for n in range(SEGMENTS) for part in (burst(1.0 + n + seed / 4), quiet(1.5)))


async def transcribed(running: Running, *files: Path) -> list[str]:
    """Text of each file, sent by `cohear transcribe --url`."""
    ends: dict[Path, str] = {}

    def hear(event: object) -> None:
        if isinstance(event, Finished):
            assert event.transcript is not None
            ends[event.path] = event.transcript.text

    options = RemoteOptions(running.url, 2, {"partials": False})
    await asyncio.to_thread(transcribe_remotely, files, options, hear)
    return [ends[file] for file in files]


async def test_the_same_files_again_decode_nothing(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{n}.wav", np.frombuffer(sentences(n), "<i2")) for n in range(2)]
    engine, cache = FakeBackend(), Cache(tmp_path / "cache")
    async with serving(CachedBackend(engine, Results(cache, "fake"))) as running:
        first = await transcribed(running, *files)
        engine.batches.clear()
        cache.hits = cache.misses = 0
        again = await transcribed(running, *files)
        async with httpx.AsyncClient(base_url=f"http://{running.address}", trust_env=False) as client:
            status = (await client.get("/v1/status")).json()
            metrics = (await client.get("/metrics")).text.splitlines()
    assert again == first
    assert all(first)
    assert engine.batches == []
    assert cache.hits >= len(files) * SEGMENTS
    assert status["cache"] == {"hits": cache.hits, "misses": 0}
    assert f"cohear_cache_hits_total {cache.hits:.1f}" in metrics
    assert "cohear_cache_misses_total 0.0" in metrics


async def test_what_a_server_did_is_in_the_table_that_is_shared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "a.wav", np.frombuffer(sentences(0), "<i2"))
    cache = Cache(tmp_path / "cache")
    async with serving(CachedBackend(FakeBackend(), Results(cache, "fake"))) as running:
        for _ in range(2):
            await transcribed(running, file)
    assert main(["cache", "info", "--json", "--cache-dir", str(tmp_path / "cache")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["hits"], told["misses"]) == (cache.hits, cache.misses)
    assert told["entries"] >= SEGMENTS


@pytest.mark.model
def test_a_server_remembers_only_if_it_is_told_to(tiny_en_dir: Path, tmp_path: Path) -> None:
    def backend(name: str, **settings: object) -> DecodeBackend:
        config = ServerConfig(model=str(tiny_en_dir), device="cpu", cache_dir=str(tmp_path / name))
        return make_backend(replace(config, **settings))

    assert not isinstance(backend("none"), CachedBackend)
    assert not (tmp_path / "none").exists()
    remembering = backend("some", cache=True, cache_limit_mb=7)
    assert isinstance(remembering, CachedBackend)
    assert remembering.cache.limit_bytes == 7 << 20
    assert remembering.cache.path.parent == tmp_path / "some"
    assert remembering.cache.path.stat().st_mode & 0o77 == (tmp_path / "some").stat().st_mode & 0o77 == 0
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / FILE_NAME).write_bytes(b"no database" * 100)
    with pytest.raises(ClientError, match="cannot be used"):
        backend("bad", cache=True)
