"""What is kept of a window, and what makes two windows the same."""

from __future__ import annotations

import tempfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from cohear_server.core.jobs import DecodeJob, DecodeResult, HypothesisWord, JobKind
from cohear_server.engine.cache import Cache
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.results import Results, identity_of
from cohear_server.errors import ServerError
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import load_samples

from .jobs import make_job, noise

JOB = make_job(noise(1.0), "first", language="en")
HEARD = DecodeResult(
    "first",
    "so it is",
    (HypothesisWord("so", 0, 300, 0.1 + 0.2), HypothesisWord("it", 300, 500, 0.5), HypothesisWord("is", 600, 900, 1.0)),
    timed=True,
    language="en",
    confidence=2 / 3,
    mean_logprob=-0.25,
    no_speech_prob=1e-9,
    rules=("loop", "retried"),
    language_probability=0.75,
)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(Cache(tmp_path), "model")


def test_what_was_heard_comes_back_exactly_but_for_the_time_it_took(results: Results) -> None:
    assert results.get(JOB) is None
    results.keep(JOB, replace(HEARD, wait_ms=3.0, decode_ms=20.0, batch_size=8))
    assert results.get(replace(JOB, id="later")) == replace(HEARD, job_id="later")


def test_faults_are_not_kept(results: Results) -> None:
    results.keep(JOB, DecodeResult("first", error=ServerError("decode_failed", "it broke")))
    assert results.get(JOB) is None


def test_who_asks_and_how_soon_is_no_part_of_the_key(results: Results) -> None:
    results.keep(JOB, HEARD)
    other = replace(JOB, id="x", session_id="y", tenant="z", segment_id=9, deadline_s=5.0, kind=JobKind.BULK)
    assert results.get(replace(other, options=replace(JOB.options, model="another name"))) is not None


@pytest.mark.parametrize(
    "other",
    [
        make_job(noise(1.0, seed=1), language="en"),
        make_job(noise(0.9), language="en"),
        make_job(noise(1.0)),
        make_job(noise(1.0), language="en", task="translate"),
        make_job(noise(1.0), language="en", beam_size=2),
        make_job(noise(1.0), language="en", word_times=True),
        make_job(noise(1.0), language="en", prompt="said"),
        make_job(noise(1.0), language="en", temperature=0.2),
    ],
)
def test_other_audio_or_another_option_is_another_window(results: Results, other: DecodeJob) -> None:
    results.keep(JOB, HEARD)
    assert results.get(other) is None


def test_another_model_is_not_asked(results: Results) -> None:
    results.keep(JOB, HEARD)
    assert Results(results.cache, "other").get(JOB) is None


@pytest.mark.parametrize("kept", [b"", b"\x00", b"no zlib", bytes.fromhex("789cab5628020002ad0100")])
def test_what_is_of_another_form_is_not_known(results: Results, kept: bytes) -> None:
    results.keep(JOB, HEARD)
    results.cache.put(results._key(JOB), kept)
    assert results.get(JOB) is None


@pytest.mark.model
def test_results_of_an_engine_can_be_kept(tiny_en_dir: Path, results: Results) -> None:
    engine = WhisperEngine(EngineOptions("tiny.en", tiny_en_dir, device="cpu", threads=1))
    sample = load_samples(speech=True, at_least_s=2.0, lang="en")[0]
    job = make_job(sample.pcm16k(), "a", language="en", word_times=True)
    (heard,) = engine.decode([job])
    assert heard.words
    results.keep(job, heard)
    assert results.get(job) == heard


def test_a_model_is_its_weights_and_how_it_is_run(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    options = EngineOptions("tiny.en", tmp_path, device="cpu", compute_type="int8")
    sha256 = "9f2e07f8b0f1c8ca5ac86fc0ef0c4a1b3b6fd9dd5a5eb0ab5fa4a2fbd27bd1a7"
    same = [options, replace(options, workers=4, threads=2, token_probabilities=False), replace(options, one_heap=True)]
    other = [
        replace(options, model_sha256=sha256),
        replace(options, device="cuda"),
        replace(options, compute_type="float16"),
        replace(options, profile_dir=tmp_path),
    ]
    assert len({identity_of(one) for one in same}) == 1
    assert len({identity_of(one) for one in [options, *other]}) == 5


@given(st.binary(max_size=200), st.booleans())
def test_an_entry_that_is_no_result_is_a_miss_that_is_dropped(data: bytes, compressed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Results(Cache(Path(folder)), "model")
        made.cache.put(made._key(JOB), zlib.compress(data) if compressed else data)
        assert made.get(JOB) is None
        info = made.cache.info()
        assert (info.entries, info.hits, info.damaged) == (0, 0, 1)
        made.cache.close()


@pytest.mark.parametrize("data", [b"[]", b"null", b"{}", b'{"job_id": 3}', b"[" * 100_000, b'"\xff"'])
def test_json_that_is_no_result_is_one_too(results: Results, data: bytes) -> None:
    results.cache.put(results._key(JOB), zlib.compress(data))
    assert results.get(JOB) is None
    assert results.cache.info().damaged == 1
