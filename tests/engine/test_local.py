"""What only the local backend does; what every backend does is in tests/contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cohear_server.core.jobs import DecodeJob, DecodeResult
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.heap import HeapKeeper
from cohear_server.engine.local import LocalBackend
from cohear_server.engine.options import EngineOptions
from cohear_server.errors import BackendUnavailable, ClientError

from .jobs import make_job, noise


@pytest.fixture
def options(random_model_dir: Callable[[int], Path]) -> EngineOptions:
    return EngineOptions("random", random_model_dir(80), device="cpu", workers=2, threads=1)


async def test_a_failing_batch_is_tried_one_job_at_a_time(
    options: EngineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = WhisperEngine.decode

    def fragile(engine: WhisperEngine, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        if any(job.id == "poison" for job in batch):
            raise RuntimeError("out of memory")
        return decode(engine, batch)

    monkeypatch.setattr(WhisperEngine, "decode", fragile)
    backend = LocalBackend(options)
    await backend.start()
    batch = [make_job(noise(0.5, i), name, language="en") for i, name in enumerate(["a", "poison", "b"])]
    results = await backend.decode(batch)
    await backend.aclose()
    assert [result.job_id for result in results] == ["a", "poison", "b"]
    assert [result.error and result.error.code for result in results] == [None, "decode_failed", None]
    assert all(result.batch_size == 3 for result in results)


async def test_slots_are_workers(options: EngineOptions) -> None:
    assert LocalBackend(options).slots == 2


async def test_start_says_what_is_wrong_with_the_model(tmp_path: Path) -> None:
    backend = LocalBackend(EngineOptions("none", tmp_path, device="cpu"))
    with pytest.raises(ClientError):
        await backend.start()
    await backend.aclose()


async def test_a_model_that_does_not_run_is_unavailable(
    options: EngineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(engine: WhisperEngine, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        raise RuntimeError("Library libcublas.so.12 is not found")

    monkeypatch.setattr(WhisperEngine, "decode", broken)
    backend = LocalBackend(options)
    with pytest.raises(BackendUnavailable, match="libcublas"):
        await backend.start()
    await backend.aclose()


async def test_one_heap_is_kept_in_order_after_each_batch(
    options: EngineOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr("cohear_server.engine.local.keep_one_heap", lambda: calls.append("one heap"))
    monkeypatch.setattr(HeapKeeper, "batch_done", lambda keeper: calls.append("batch done"))
    for one_heap, told in ((False, []), (True, ["one heap", "batch done", "batch done"])):
        backend = LocalBackend(replace(options, one_heap=one_heap), warm_up_s=())
        await backend.start()
        for seed in range(2):
            await backend.decode([make_job(noise(0.5, seed), language="en")])
        await backend.aclose()
        assert calls == told


async def test_starting_it_again_does_nothing(options: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = LocalBackend(options, warm_up_s=())
    await backend.start()
    monkeypatch.delattr(WhisperEngine, "__init__")
    await backend.start()
    await backend.aclose()
