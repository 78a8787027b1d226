"""Which texts are doubtful, what is tried next, and which text is kept: over scripted texts, without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from cohear_server.core.jobs import (
    SAMPLE_RATE_HZ,
    DecodeJob,
    DecodeOptions,
    DecodeResult,
    Fallback,
    HypothesisWord,
    JobKind,
)
from cohear_server.engine.second_try import MAX_TRIES, PADDED_SAMPLES, as_tried, padded_samples, review, settled
from cohear_server.errors import ServerError
from hypothesis import given
from hypothesis import strategies as st

HZ = SAMPLE_RATE_HZ
WORD_S = 0.4
TEXT = [f"word{i:02d}" for i in range(25)]

Said = Callable[[DecodeJob], DecodeResult]


def speech(seconds: float = 10.0, **options: object) -> DecodeJob:
    pcm = np.random.default_rng(0).normal(0, 3_000, int(seconds * HZ)).clip(-32768, 32767).astype(np.int16)
    decode = DecodeOptions("m", "en", word_times=True, **options)  # type: ignore[arg-type]
    return DecodeJob("j", "s", "t", 0, pcm, JobKind.FINAL, 0.1, decode)


def text_of(words: Sequence[str], logprob: float = -0.2, *rules: str) -> DecodeResult:
    step = int(WORD_S * HZ)
    spoken = tuple(HypothesisWord(word, i * step, (i + 1) * step, 0.9) for i, word in enumerate(words))
    return DecodeResult("j", " ".join(words), spoken, True, "en", 0.9, logprob, rules=rules)


def rest_of(job: DecodeJob, count: int = 25, logprob: float = -0.2) -> DecodeResult:
    """Up to `count` words of what is left of ten seconds of them."""
    first = 25 - round(len(job.pcm) / HZ / WORD_S)
    return text_of(TEXT[first : first + count], logprob)


class Scripted:
    """An engine that hears what it is told, and judges it as the real one does."""

    def __init__(self, *said: Said | DecodeResult) -> None:
        self.said = list(said)
        self.jobs: list[DecodeJob] = []

    def __call__(self, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        return [self._decode(job) for job in batch]

    def _decode(self, job: DecodeJob) -> DecodeResult:
        self.jobs.append(job)
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        heard = said if isinstance(said, DecodeResult) else said(as_tried(job))
        return heard if heard.error else review(job, heard, short=True)


def settle(job: DecodeJob, *said: Said | DecodeResult) -> tuple[DecodeResult, Scripted]:
    engine = Scripted(*said)
    (result,) = settled(engine, [job])
    assert result.again is None
    return result, engine


# what is left alone


def test_enough_text_is_settled_at_once() -> None:
    result, engine = settle(speech(), rest_of)
    assert (result.text, result.rules, len(engine.jobs)) == (" ".join(TEXT), (), 1)


@pytest.mark.parametrize(
    "job",
    [
        replace(speech(), kind=JobKind.PARTIAL),
        replace(speech(), options=DecodeOptions("m", "ja")),
        speech(1.5),
    ],
    ids=["partial", "no alphabet", "short"],
)
def test_few_words_are_enough_there(job: DecodeJob) -> None:
    said = replace(text_of(TEXT[:1]), language=job.options.language or "")
    assert settle(job, said)[1].jobs == [job]


def test_a_click_is_not_made_a_word() -> None:
    assert len(settle(speech(0.2), text_of([], 0.0, "unlikely"))[1].jobs) == 1


# with more silence


@pytest.mark.parametrize(
    ("first", "again", "kept"),
    [
        (text_of(["short"], -0.5, "loop"), text_of(["padded"], -0.3), "padded"),
        (text_of(["short"], -0.3, "loop"), text_of(["padded"], -0.5), "short"),
        (text_of(["short"], -1.4, "loop"), text_of(["padded"], -0.1, "loop"), "short"),
        (text_of([], 0.0, "unlikely"), text_of(["padded"], -1.4), "padded"),
        (text_of([], 0.0, "unlikely"), text_of(["padded"], -0.1, "loop"), ""),
        (text_of(["short"], -1.4, "loop"), text_of([], 0.0, "unlikely"), "short"),
        (text_of([], 0.0, "unlikely"), text_of([], 0.0, "no_speech"), ""),
    ],
)
def test_the_likelier_text_wins_but_never_a_second_loop(first: DecodeResult, again: DecodeResult, kept: str) -> None:
    result, engine = settle(speech(2.0), first, again)
    assert result.text == kept
    assert result.rules[-1] == "retried"
    assert [job.second_try is not None and job.second_try.padded for job in engine.jobs] == [False, True]


def test_long_windows_are_padded_as_whisper_was_trained() -> None:
    assert padded_samples(8 * HZ) == PADDED_SAMPLES
    assert padded_samples(8 * HZ + 1) == 30 * HZ


# without the prompt


@pytest.mark.parametrize(
    "first",
    [
        text_of([]),
        text_of(["the", "prompt"], -0.1, "loop"),
        text_of([], 0.0, "no_speech"),
        text_of(TEXT[:2]),
    ],
    ids=["nothing", "written out", "taken away", "stops early"],
)
def test_a_prompt_that_eats_the_text_is_dropped(first: DecodeResult) -> None:
    result, engine = settle(speech(prompt="said before"), first, rest_of)
    assert result.text == " ".join(TEXT)
    assert "prompt_dropped" in result.rules
    assert [as_tried(job).options.prompt for job in engine.jobs] == ["said before", ""]


def test_a_prompt_with_which_the_text_is_better_stays() -> None:
    first, again = text_of(TEXT[:2], -0.2), text_of(TEXT[:25], -1.3)
    result, engine = settle(speech(2.6, prompt="said before"), first, again, text_of([]))
    assert (result.text, result.rules) == (first.text, ())
    assert not engine.jobs[1].second_try.prompted  # type: ignore[union-attr]
    result, engine = settle(speech(2.0, prompt="said before"), text_of(TEXT[:5]))
    assert (result.rules, len(engine.jobs)) == ((), 1)


def test_without_its_prompt_a_window_may_need_more_silence() -> None:
    result, _ = settle(
        speech(2.0, prompt="said before"),
        text_of([], 0.0, "no_words"),
        text_of([], 0.0, "no_speech"),
        text_of(TEXT[:5]),
    )
    assert (result.text, result.rules) == (" ".join(TEXT[:5]), ("prompt_dropped", "retried"))


# the rest


def test_the_rest_is_decoded_and_appended_in_place() -> None:
    result, engine = settle(speech(), lambda job: rest_of(job, 2), rest_of)
    assert result.text == " ".join(TEXT)
    assert [word.start_samples for word in result.words] == [int(i * WORD_S * HZ) for i in range(25)]
    assert result.rules == ("continued",)
    assert len(engine.jobs) == 2


def test_it_may_take_several_tries_but_not_for_ever() -> None:
    result, engine = settle(speech(), lambda job: rest_of(job, 2))
    assert result.text == " ".join(TEXT[: 2 * (1 + MAX_TRIES)])
    assert len(engine.jobs) == 1 + MAX_TRIES


def test_an_improbable_beginning_is_dropped() -> None:
    result, _ = settle(speech(), text_of(TEXT[:1], -2.4), rest_of)
    assert result.text.split()[-1] == TEXT[-1]
    assert len(result.words) >= 24


def test_a_rest_that_is_improbable_adds_nothing() -> None:
    result, _ = settle(speech(), lambda job: rest_of(job, 2), lambda job: rest_of(job, logprob=-2.0))
    assert (result.text, result.rules) == (" ".join(TEXT[:2]), ())


def test_a_rest_may_need_more_silence() -> None:
    result, engine = settle(speech(), lambda job: rest_of(job, 2), text_of([], 0.0, "unlikely"), rest_of)
    assert result.text == " ".join(TEXT)
    assert set(result.rules) == {"continued", "retried"}
    assert [bool(job.second_try and job.second_try.padded) for job in engine.jobs] == [False, False, True]


def test_a_second_try_that_fails_leaves_the_first_text() -> None:
    failed = DecodeResult("j", error=ServerError("decode_failed", "out of memory"))
    result, _ = settle(speech(), lambda job: rest_of(job, 2), failed)
    assert (result.error, result.text) == (None, " ".join(TEXT[:2]))


# temperatures


def hotter(*temperatures: float) -> DecodeJob:
    return speech(2.0, fallback=Fallback(temperatures))


def test_improbable_text_is_tried_warmer_until_it_is_not() -> None:
    said = {0.0: -2.0, 0.2: -1.4, 0.4: -0.5}
    result, engine = settle(hotter(0.2, 0.4, 0.6), lambda job: text_of(TEXT[:5], said[job.options.temperature]))
    assert [as_tried(job).options.temperature for job in engine.jobs] == [0.0, 0.2, 0.4]
    assert result.temperature == 0.4


def test_the_best_of_all_temperatures_is_kept() -> None:
    said = {0.0: -1.2, 0.2: -1.1, 0.4: -1.4}
    result, engine = settle(hotter(0.2, 0.4), lambda job: text_of(TEXT[:5], said[job.options.temperature]))
    assert (result.temperature, result.mean_logprob, len(engine.jobs)) == (0.2, -1.1, 3)


def test_a_loop_is_tried_warmer_and_loses_to_what_is_none() -> None:
    loop = text_of(["again"] * 40, -0.1)
    result, _ = settle(hotter(0.2), loop, text_of(TEXT[:5], -0.9))
    assert result.text == " ".join(TEXT[:5])
    result, _ = settle(hotter(0.2), text_of(TEXT[:5], -1.9), loop)
    assert result.text == " ".join(TEXT[:5])


# all of it together

RULES = ("loop", "unlikely", "no_speech", "repetitive", "token_cap", "no_words")


@st.composite
def texts(draw: st.DrawFn) -> DecodeResult:
    words = draw(st.lists(st.sampled_from(TEXT), max_size=12))
    return text_of(words, draw(st.floats(-3, 0)), *draw(st.sets(st.sampled_from(RULES))))


@given(
    st.lists(texts(), min_size=1, max_size=40),
    st.floats(0.05, 12),
    st.sampled_from(["", "said before"]),
    st.sampled_from([(), (0.2,), (0.2, 0.4, 0.6)]),
)
def test_it_always_settles_and_never_loses_all_text(
    said: list[DecodeResult], seconds: float, prompt: str, warmer: tuple[float, ...]
) -> None:
    job = speech(seconds, prompt=prompt, fallback=Fallback(warmer))
    result, engine = settle(job, *said)
    assert len(engine.jobs) <= (1 + MAX_TRIES) * (1 + len(warmer))
    assert bool(result.words) or not said[0].words or "loop" in said[0].rules
    assert [w.start_samples for w in result.words] == sorted(w.start_samples for w in result.words)
    assert all(len(as_tried(one).pcm) > 0 for one in engine.jobs)
    assert " ".join(word.text for word in result.words) == result.text
