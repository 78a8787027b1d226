"""Finals that stopped too early are continued; all others are left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, HypothesisWord, JobKind
from cohear_server.engine.remainder import finish, is_unfinished
from cohear_server.errors import ServerError

HZ = SAMPLE_RATE_HZ
WORD_S = 0.4
TEXT = [f"word{i:02d}" for i in range(25)]


def speech(seconds: float = 10.0) -> DecodeJob:
    pcm = np.random.default_rng(0).normal(0, 3_000, int(seconds * HZ)).clip(-32768, 32767).astype(np.int16)
    return DecodeJob("j", "s", "t", 0, pcm, JobKind.FINAL, 0.1, DecodeOptions("m", "en", word_times=True))


def heard(job: DecodeJob, first: int, count: int, logprob: float = -0.2) -> DecodeResult:
    step = int(WORD_S * HZ)
    words = tuple(HypothesisWord(w, i * step, (i + 1) * step, 0.9) for i, w in enumerate(TEXT[first : first + count]))
    text = " ".join(w.text for w in words)
    return DecodeResult(job.id, text, words, job.options.word_times, "en", 0.9, logprob)


class Engine:
    """Decodes what is left of ten seconds of words, `each` words at a time."""

    def __init__(self, each: int, logprob: float = -0.2) -> None:
        self.each, self.logprob = each, logprob
        self.calls = 0

    def __call__(self, job: DecodeJob) -> DecodeResult:
        self.calls += 1
        first = 25 - round(len(job.pcm) / HZ / WORD_S)
        return heard(job, first, min(self.each, 25 - first), self.logprob)


def test_enough_text_is_left_alone() -> None:
    job, engine = speech(), Engine(25)
    whole = heard(job, 0, 25)
    assert finish(job, whole, engine) is whole
    assert engine.calls == 0


def test_the_rest_is_decoded_and_appended_in_place() -> None:
    job = speech()
    done = finish(job, heard(job, 0, 2), Engine(25))
    assert done.text == " ".join(TEXT)
    starts = [w.start_samples for w in done.words]
    assert starts == [int(i * WORD_S * HZ) for i in range(25)]
    assert done.rules == ("continued",)


def test_it_may_take_several_rounds_but_not_for_ever() -> None:
    job, engine = speech(), Engine(2)
    done = finish(job, heard(job, 0, 2), engine)
    assert done.text == " ".join(TEXT[:8])
    assert engine.calls == 3


def test_an_improbable_beginning_is_dropped() -> None:
    job = speech()
    done = finish(job, heard(job, 0, 1, logprob=-2.4), Engine(25))
    assert done.text.split()[-1] == TEXT[-1]
    assert len(done.words) >= 24


def test_a_rest_that_is_improbable_adds_nothing() -> None:
    job = speech()
    first = heard(job, 0, 2)
    assert finish(job, first, Engine(25, logprob=-2.0)) is first


def test_partials_faults_and_unspaced_languages_are_left_alone() -> None:
    job = speech()
    few = heard(job, 0, 1)
    assert is_unfinished(job, few.text, "en")
    assert not is_unfinished(replace(job, kind=JobKind.PARTIAL), few.text, "en")
    assert not is_unfinished(job, few.text, "ja")
    assert not is_unfinished(speech(1.5), few.text, "en")
    failed, engine = replace(few, error=ServerError("decode_failed", "x")), Engine(25)
    assert finish(job, failed, engine) is failed
    assert engine.calls == 0
