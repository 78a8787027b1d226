"""The engine: with random weights for its rules, with the real tiny.en for what it hears."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np
import pytest
from cohear_server.core.jobs import DecodeJob, DecodeResult, JobKind
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.guard import GuardOptions
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.profile import Profile, write_profile
from cohear_server.engine.second_try import settled
from cohear_server.engine.tail import TailStates
from whisper_normalizer.english import EnglishTextNormalizer

from tests.samples import Sample, load_samples

from .jobs import make_job, noise

normalised = EnglishTextNormalizer()


@pytest.fixture(scope="module")
def random_engine(random_model_dir: Callable[[int], Path]) -> WhisperEngine:
    return WhisperEngine(EngineOptions("random", random_model_dir(80), device="cpu", threads=1))


@pytest.fixture(scope="module")
def engine(tiny_en_dir: Path) -> WhisperEngine:
    return WhisperEngine(EngineOptions("tiny.en", tiny_en_dir, device="cpu", compute_type="int8", threads=1))


@pytest.fixture(scope="module")
def padded(tiny_en_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> WhisperEngine:
    """The same model without its profile."""
    options = EngineOptions("tiny.en", tiny_en_dir, device="cpu", compute_type="int8", threads=1)
    return WhisperEngine(replace(options, profile_dir=tmp_path_factory.mktemp("no-profiles")))


@pytest.fixture(scope="module")
def sentences() -> list[Sample]:
    """Read speech; spelled letters and numbers are written in too many ways to count their words."""
    found = load_samples(speech=True, at_least_s=2.0, lang="en")
    return [sample for sample in found if sample.seconds <= 12 and len(sample.norm.split()) >= 10][:8]


def jobs_of(samples: list[Sample], **options: object) -> list[DecodeJob]:
    return [make_job(sample.pcm16k(), str(sample), **options) for sample in samples]


def words_of(results: list[DecodeResult]) -> list[list[str]]:
    return [[word.text for word in result.words] for result in results]


# rules of a batch, on random weights


def test_what_the_model_can_do(random_engine: WhisperEngine) -> None:
    info = random_engine.info
    assert (info.translates, info.short_windows, len(info.languages)) == (True, False, 99)


@pytest.mark.parametrize(
    ("job", "code"),
    [
        (make_job(np.zeros(0, np.int16)), "bad_audio"),
        (make_job(noise(30.1)), "bad_audio"),
        (make_job(noise(1), language="xx"), "unsupported_language"),
    ],
)
def test_what_cannot_be_decoded_is_said_in_its_result(random_engine: WhisperEngine, job: DecodeJob, code: str) -> None:
    good = make_job(noise(0.5), "good", language="en")
    refused, fine = random_engine.decode([job, good])
    assert refused.error is not None
    assert refused.error.code == code
    assert fine.error is None
    assert (refused.job_id, fine.job_id) == ("job", "good")


def test_jobs_of_all_kinds_share_a_call(random_engine: WhisperEngine) -> None:
    jobs = [
        make_job(noise(1, 1), "a", language="en"),
        make_job(noise(1, 2), "b", language="de", prompt="some text before"),
        make_job(noise(1, 3), "c", language="en", beam_size=2),
        make_job(noise(1, 4), "d", language="ja", word_times=True),
        make_job(noise(1, 5), "e", language="de", task="translate", word_times=True),
        make_job(noise(1, 6), "f", language="en", prompt="another text " * 200),
        make_job(noise(1, 7), "g"),
    ]
    together = random_engine.decode(jobs)
    assert [result.job_id for result in together] == list("abcdefg")
    assert not [result.error for result in together if result.error]
    assert together[6].language in random_engine.info.languages
    alone = [random_engine.decode([job])[0] for job in jobs]
    assert [result.text for result in together] == [result.text for result in alone]


DOUBTS_ALL = GuardOptions(unlikely_logprob=0.0)
DOUBTS_NONE = GuardOptions(unlikely_logprob=-99.0, unsure_logprob=-99.0, loop_tokens=1000)


@pytest.fixture
def short_windows(
    random_model_dir: Callable[[int], Path], tmp_path: Path
) -> Callable[[GuardOptions, Callable[[], AbstractContextManager[object]]], WhisperEngine]:
    """Random weights with a profile, as far as its arithmetic goes."""
    tail = TailStates(np.random.default_rng(0).normal(0, 1, (1400, 32)).astype(np.float32), 100)
    write_profile(tmp_path / "random", Profile("random", "00", True, 500, 150, 15.0, 6.0, 10, tail), {})
    options = EngineOptions("random", random_model_dir(80), device="cpu", threads=1, profile_dir=tmp_path)
    return lambda guard, padding: WhisperEngine(options, guard, padding=padding)


@pytest.mark.parametrize(("guard", "tried"), [(DOUBTS_NONE, set()), (DOUBTS_ALL, {"final", "long"})])
def test_doubtful_finals_ask_for_a_second_try_and_hold_up_nobody(
    short_windows: Callable[..., WhisperEngine], guard: GuardOptions, tried: set[str]
) -> None:
    entered: list[int] = []

    @contextlib.contextmanager
    def padding() -> Iterator[None]:
        entered.append(1)
        yield

    engine = short_windows(guard, padding)
    batch = [
        replace(make_job(noise(2), "partial", language="ja"), kind=JobKind.PARTIAL),
        make_job(noise(0.2), "click", language="ja"),
        make_job(noise(14), "long", language="ja"),
        make_job(noise(2, 1), "final", language="ja", word_times=True),
    ]
    first = engine.decode(batch)
    assert {result.job_id for result in first if result.again} == tried
    assert not entered, "only second tries are padded"
    results = settled(engine.decode, batch)
    assert {result.job_id for result in results if "retried" in result.rules} == tried
    assert len(entered) == bool(tried)


def test_an_empty_call(random_engine: WhisperEngine) -> None:
    assert random_engine.decode([]) == []


def test_a_profile_of_other_weights_is_not_used(random_model_dir: Callable[[int], Path]) -> None:
    options = EngineOptions("base", random_model_dir(80), device="cpu", model_sha256="of other weights")
    assert WhisperEngine(options).profile is None


# what is heard, with the real model


@pytest.mark.model
def test_short_windows_hear_what_padded_ones_do(
    engine: WhisperEngine, padded: WhisperEngine, sentences: list[Sample]
) -> None:
    assert engine.info.short_windows
    assert not padded.info.short_windows
    said = [normalised(sample.norm) for sample in sentences]
    errors = {
        name: jiwer.wer(said, [normalised(result.text) for result in one.decode(jobs_of(sentences))])
        for name, one in (("short", engine), ("padded", padded))
    }
    assert errors["short"] <= 0.15
    assert errors["short"] <= errors["padded"] + 0.04, "four of 115 words; bench/eval.py measures on thousands"


@pytest.mark.model
def test_a_batch_of_mixed_lengths_hears_what_single_windows_do(engine: WhisperEngine, sentences: list[Sample]) -> None:
    jobs = jobs_of(sentences)
    assert len({len(job.pcm) for job in jobs}) > 1
    together, alone = words_of(engine.decode(jobs)), words_of([engine.decode([job])[0] for job in jobs])
    # a near tie of two tokens may go the other way in another batch
    assert sum(a != b for a, b in zip(together, alone, strict=True)) <= 1


@pytest.mark.model
def test_windows_cut_in_mid_speech_do_not_loop(engine: WhisperEngine, sentences: list[Sample]) -> None:
    jobs = [
        make_job(sample.pcm16k()[: int(seconds * 16_000)])
        for sample in sentences[:4]
        for seconds in np.arange(0.8, min(5, sample.seconds), 0.9)
    ]
    for job, result in zip(jobs, engine.decode(jobs), strict=True):
        assert not {"loop", "token_cap"} & set(result.rules), result.text
        assert len(result.words) <= 3 + 5 * len(job.pcm) / 16_000


@pytest.mark.model
def test_confidence_and_probabilities(engine: WhisperEngine, sentences: list[Sample]) -> None:
    for result in engine.decode(jobs_of(sentences)):
        assert all(0 <= word.probability <= 1 for word in result.words)
        assert 0.3 < result.confidence <= 1
        assert result.confidence == pytest.approx(np.mean([word.probability for word in result.words]))
        assert result.text == " ".join(word.text for word in result.words)


@pytest.mark.model
def test_logprobs_agree_with_the_score_of_ctranslate2(engine: WhisperEngine, sentences: list[Sample]) -> None:
    job = jobs_of(sentences)[0]
    greedy, scored = engine.decode([job])[0], engine.decode([make_job(job.pcm, beam_size=2)])[0]
    # the beams' mean log probability is CTranslate2's own, over the same words or slightly better ones
    assert math.exp(greedy.mean_logprob) == pytest.approx(math.exp(scored.mean_logprob), abs=0.05)


@pytest.mark.model
@pytest.mark.parametrize("measured", [False, True], ids=["estimated", "measured"])
def test_word_times_are_in_order_and_inside_the_window(
    engine: WhisperEngine, sentences: list[Sample], measured: bool
) -> None:
    jobs = jobs_of(sentences, word_times=measured)
    for job, result in zip(jobs, engine.decode(jobs), strict=True):
        assert result.timed is measured
        edges = [edge for word in result.words for edge in (word.start_samples, word.end_samples)]
        assert edges == sorted(edges)
        assert 0 <= edges[0] < edges[-1] <= len(job.pcm)


@pytest.mark.model
def test_measured_times_agree_with_padded_alignment(
    engine: WhisperEngine, padded: WhisperEngine, sentences: list[Sample]
) -> None:
    apart_ms = []
    for job in jobs_of(sentences, word_times=True):
        short, full = engine.decode([job])[0], padded.decode([job])[0]
        if words_of([short]) == words_of([full]):
            pairs = zip(short.words, full.words, strict=True)
            apart_ms += [abs(a.start_samples - b.start_samples) / 16 for a, b in pairs]
    assert len(apart_ms) >= 20
    assert np.median(apart_ms) <= 20
    assert np.percentile(apart_ms, 90) <= 100


@pytest.mark.model
def test_a_prompt_is_taken_as_context_and_not_repeated(engine: WhisperEngine, sentences: list[Sample]) -> None:
    plain = engine.decode(jobs_of(sentences[:1]))[0]
    prompted = engine.decode(jobs_of(sentences[:1], prompt="And so it was said."))[0]
    assert not re.search("so it was said", prompted.text)
    assert jiwer.wer(normalised(plain.text), normalised(prompted.text)) < 0.3


PROMPTS = {
    "names": "Kubernetes, PostgreSQL, OAuth, CTranslate2, Whisper, Cohear, Grafana, Prometheus, ",
    "a sentence": "The quick brown fox. ",
    "digits": "1234567890 ",
    "dots": "...",
    "emoji": "\N{GRINNING FACE}\N{PARTY POPPER}\N{ROCKET}",
    "Japanese": "今日は天気がいいですね。",
    "blanks": "\n\t ",
}


@pytest.mark.model
@pytest.mark.parametrize("text", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("characters", [80, 1000])
@pytest.mark.parametrize("stem", ["7_jackson_0", "an4-cen8-mmsh-b", "jfk"])
def test_no_prompt_eats_the_text(engine: WhisperEngine, stem: str, characters: int, text: str) -> None:
    (sample,) = (s for s in load_samples(speech=True) if s.path.stem == stem)
    prompt = (text * 1000)[:characters]
    (plain,) = settled(engine.decode, [make_job(sample.pcm16k(), language="en")])
    (prompted,) = settled(engine.decode, [make_job(sample.pcm16k(), language="en", prompt=prompt)])
    said = normalised(plain.text)
    assert prompted.words
    # a prompt may well change what is understood of a single digit
    assert stem == "7_jackson_0" or jiwer.wer(said, normalised(prompted.text)) <= 0.35


@pytest.mark.model
def test_a_prompt_that_is_dropped_is_told_of(engine: WhisperEngine) -> None:
    (sample,) = (s for s in load_samples(speech=True) if s.path.stem == "jfk")
    job = make_job(sample.pcm16k(), language="en", prompt=(PROMPTS["a sentence"] * 30)[:600])
    (first,) = engine.decode([job])
    assert first.again is not None
    (result,) = settled(engine.decode, [job])
    assert "prompt_dropped" in result.rules
    assert result.text.endswith("what you can do for your country.")


@pytest.mark.model
def test_non_speech_gives_no_words(engine: WhisperEngine) -> None:
    silence, hiss = engine.decode([make_job(np.zeros(48_000, np.int16)), make_job(noise(4))])
    assert (silence.words, silence.rules) == ((), ("silence",))
    assert hiss.words == ()


@pytest.mark.model
def test_an_english_model_does_not_translate(engine: WhisperEngine) -> None:
    (result,) = engine.decode([make_job(noise(1), task="translate")])
    assert result.error is not None
    assert result.error.code == "unsupported_task"


@pytest.mark.model
def test_a_window_gives_the_same_words_in_any_company(engine: WhisperEngine, sentences: list[Sample]) -> None:
    """All are filled to fixed lengths; the longest does not stretch the tails of the others."""
    jobs = [
        replace(job, pcm=job.pcm[: 16_000 + 8_000 * i], kind=JobKind.PARTIAL)
        for i, job in enumerate(jobs_of(sentences))
    ]
    together = [result.text for result in engine.decode(jobs)]
    assert together == [engine.decode([job])[0].text for job in jobs]
