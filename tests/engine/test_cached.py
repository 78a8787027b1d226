"""Which jobs reach the backend behind a cache, and which do not; that it is a backend is in tests/contract."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cohear_server.core.jobs import DecodeJob, DecodeResult, JobKind, SecondTry
from cohear_server.engine.cache import Cache
from cohear_server.engine.cached import CachedBackend
from cohear_server.engine.results import Results
from cohear_testing.fake import FAULT_MARKER, FakeBackend

from .jobs import make_job, noise


class Bench:
    def __init__(self, folder: Path) -> None:
        self.behind = FakeBackend()
        self.cache = Cache(folder)
        self.front = CachedBackend(self.behind, Results(self.cache, "fake"))

    @property
    def decoded(self) -> list[list[str]]:
        """Ids of the jobs in each batch that was decoded."""
        return [[job.id for job in batch] for batch in self.behind.batches]

    async def kept(self, *jobs: DecodeJob) -> None:
        """Decode these, and wait until they are kept."""
        await self.front.decode(jobs)
        while self.front._keeping:
            await next(iter(self.front._keeping))
        self.behind.batches.clear()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    await made.front.start()
    yield made
    await made.front.aclose()


def final(seed: int, job_id: str = "") -> DecodeJob:
    return make_job(noise(1.0, seed), job_id or f"job {seed}", language="en")


async def test_known_windows_leave_the_batch_and_keep_their_places(bench: Bench) -> None:
    await bench.kept(final(1), final(3))
    results = await bench.front.decode([final(n) for n in range(5)])
    assert bench.decoded == [["job 0", "job 2", "job 4"]]
    assert [result.job_id for result in results] == [f"job {n}" for n in range(5)]
    assert [result.known for result in results] == [False, True, False, True, False]
    assert {result.text for result in results} == {"w0 w1"}


async def test_a_batch_of_known_windows_never_reaches_the_engine(bench: Bench) -> None:
    await bench.kept(final(1), final(2))
    first, second = await bench.front.decode([final(2, "x"), final(1, "y")])
    assert bench.decoded == []
    assert (first.job_id, second.job_id, first.batch_size) == ("x", "y", 0)
    assert (bench.cache.hits, bench.cache.misses) == (2, 2)


async def test_partials_are_neither_looked_up_nor_kept(bench: Bench) -> None:
    partial = replace(final(1), kind=JobKind.PARTIAL)
    await bench.kept(partial)
    await bench.front.decode([partial])
    assert bench.decoded == [["job 1"]]
    assert bench.cache.info().entries == bench.cache.hits + bench.cache.misses == 0


async def test_faults_are_asked_for_again(bench: Bench) -> None:
    broken = replace(final(1), pcm=FAULT_MARKER)
    await bench.kept(broken)
    (result,) = await bench.front.decode([broken])
    assert result.error is not None
    assert bench.decoded == [["job 1"]]


async def test_closing_waits_for_what_is_to_be_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.front.start()
    await bench.front.decode([final(1)])
    await bench.front.aclose()
    assert Cache(tmp_path).info().entries == 1


async def test_a_cache_that_breaks_costs_no_result(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    await bench.kept(final(1))
    with sqlite3.connect(bench.cache.path) as raw:
        raw.execute("DROP TABLE entries")
    raw.close()
    for _ in range(2):
        (result,) = await bench.front.decode([final(1)])
        assert (result.text, result.known) == ("w0 w1", False)
    assert caplog.text.count("not used for now") == 1


async def test_a_doubtful_text_is_kept_when_its_last_try_is_settled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = bench.behind.decode

    async def doubting(batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        results = await decode(batch)
        return [
            replace(result, text="settled") if job.second_try else replace(result, again=SecondTry(result, 1))
            for job, result in zip(batch, results, strict=True)
        ]

    monkeypatch.setattr(bench.behind, "decode", doubting)
    await bench.kept(final(0))
    (first,) = await bench.front.decode([final(0)])
    assert not first.known
    await bench.kept(replace(final(0), second_try=first.again))
    (again,) = await bench.front.decode([final(0)])
    assert (again.known, again.text, again.again) == (True, "settled", None)
