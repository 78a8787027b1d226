"""What every decode backend must do, in one suite over all of them."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, JobKind
from cohear_server.engine.backend import DecodeBackend
from cohear_server.engine.cache import Cache
from cohear_server.engine.cached import CachedBackend
from cohear_server.engine.local import LocalBackend
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.results import Results
from cohear_server.engine.tiers import TieredBackend
from cohear_server.errors import BackendUnavailable, ClientError
from cohear_testing.fake import FAKE_MODEL, FakeBackend, FakeOptions
from numpy.typing import NDArray

SPEECH_LEVEL = 3000
MODEL = "any"
"""what the jobs name"""


LOCAL = pytest.mark.model


@pytest.fixture(
    params=[
        *("fake", "cached fake", "main of two", "smaller of two"),
        *(pytest.param(name, marks=LOCAL) for name in ("local", "cached local")),
    ]
)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DecodeBackend]:
    """Started, and closed afterwards."""
    made: DecodeBackend
    if request.param in ("main of two", "smaller of two"):
        name = MODEL if request.param == "smaller of two" else "another"
        made = TieredBackend(FakeBackend(), FakeBackend(FakeOptions(model=replace(FAKE_MODEL, name=name))))
    elif "fake" in request.param:
        made = FakeBackend()
    else:
        folder: Path = request.getfixturevalue("tiny_en_dir")
        made = LocalBackend(EngineOptions("tiny.en", folder, device="cpu", compute_type="int8", threads=1))
    if "cached" in request.param:
        made = CachedBackend(made, Results(Cache(tmp_path), "the model"))
    await made.start()
    yield made
    await made.aclose()


def sound(seconds: float, seed: int = 0) -> NDArray[np.int16]:
    samples = np.random.default_rng(seed).normal(0, SPEECH_LEVEL, int(seconds * SAMPLE_RATE_HZ))
    return samples.clip(-32768, 32767).astype(np.int16)


def job(pcm: NDArray[np.int16], job_id: str = "a", kind: JobKind = JobKind.FINAL, **options: Any) -> DecodeJob:
    return DecodeJob(job_id, "session", "tenant", 7, pcm, kind, 0.5, DecodeOptions(MODEL, **options))


async def test_it_says_what_it_is(backend: DecodeBackend) -> None:
    assert backend.slots >= 1
    assert "en" in backend.model.languages


async def test_results_keep_the_order_of_the_jobs(backend: DecodeBackend) -> None:
    jobs = [job(sound(seconds), f"job-{seconds}") for seconds in (2.0, 0.3, 1.0)]
    results = await backend.decode(jobs)
    assert [result.job_id for result in results] == [one.id for one in jobs]
    assert {result.batch_size for result in results} == {3}
    assert all(result.wait_ms >= 0 and result.decode_ms >= 0 for result in results)


async def test_a_bad_job_does_not_harm_its_neighbours(backend: DecodeBackend) -> None:
    alone = (await backend.decode([job(sound(1))]))[0]
    bad = [
        job(np.zeros(0, np.int16), "empty"),
        job(sound(30.5), "long"),
        job(sound(1), "tongue", language="zz"),
        job(sound(1), "task", task="translate"),
    ]
    results = await backend.decode([bad[0], bad[1], job(sound(1), "good"), bad[2], bad[3]])
    errors = [result.error for result in results if result.job_id != "good"]
    assert all(isinstance(error, ClientError) for error in errors)
    assert [error.code for error in errors if error] == [
        "bad_audio",
        "bad_audio",
        "unsupported_language",
        "unsupported_task",
    ]
    assert results[2].error is None
    assert results[2].text == alone.text


async def test_options_may_differ_within_a_batch(backend: DecodeBackend) -> None:
    jobs = [
        job(sound(1), "plain"),
        job(sound(1), "prompted", prompt="said before"),
        job(sound(1), "timed", word_times=True, language="en"),
        job(sound(0.5), "partial", JobKind.PARTIAL),
    ]
    assert not [result.error for result in await backend.decode(jobs) if result.error]


@pytest.mark.parametrize("samples", [1, 160, 48_000, 480_000])
async def test_silence_has_no_words(backend: DecodeBackend, samples: int) -> None:
    (result,) = await backend.decode([job(np.zeros(samples, np.int16))])
    assert result.error is None
    assert (result.text, result.words, result.confidence) == ("", (), 0.0)


async def test_the_shortest_sound_can_be_decoded(backend: DecodeBackend) -> None:
    (result,) = await backend.decode([job(np.array([9000], np.int16))])
    assert result.error is None


async def test_words_lie_inside_their_window(backend: DecodeBackend) -> None:
    for result in await backend.decode([job(sound(3, seed)) for seed in range(3)]):
        edges = [edge for word in result.words for edge in (word.start_samples, word.end_samples)]
        assert edges == sorted(edges)
        assert all(0 <= edge <= 3 * SAMPLE_RATE_HZ for edge in edges)


async def test_jobs_and_results_can_be_pickled(backend: DecodeBackend) -> None:
    original = job(sound(1), prompt="text")
    copy = pickle.loads(pickle.dumps(original))
    assert (copy.id, copy.options) == (original.id, original.options)
    assert (copy.pcm == original.pcm).all()
    results = await backend.decode([copy])
    assert pickle.loads(pickle.dumps(results)) == results


async def test_errors_can_be_pickled(backend: DecodeBackend) -> None:
    (result,) = await backend.decode([job(np.zeros(0, np.int16))])
    again = pickle.loads(pickle.dumps(result))
    assert isinstance(again.error, ClientError)
    assert again.error.code == "bad_audio"


async def test_nothing_in_nothing_out(backend: DecodeBackend) -> None:
    assert await backend.decode([]) == []


async def test_closing_waits_for_what_was_posted(backend: DecodeBackend) -> None:
    posted = asyncio.create_task(backend.decode([job(sound(2))]))
    await asyncio.sleep(0)
    await backend.aclose()
    assert (await posted)[0].error is None


async def test_a_closed_backend_stays_closed(backend: DecodeBackend) -> None:
    await backend.aclose()
    await backend.aclose()
    with pytest.raises(BackendUnavailable):
        await backend.decode([job(sound(1))])
