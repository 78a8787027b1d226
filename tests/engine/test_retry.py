"""Finals that look wrong are decoded again, padded: which, how often, and which text wins. Random weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cohear_server.core.jobs import JobKind
from cohear_server.engine.engine import WhisperEngine, _Heard, _likelier
from cohear_server.engine.guard import GuardOptions
from cohear_server.engine.hypothesis import Hypothesis, SpelledWord
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.profile import Profile, write_profile
from cohear_server.engine.tail import TailStates

from .jobs import make_job, noise

WIDTH = 32
"""of the random model's states"""
DOUBTS_ALL = GuardOptions(unlikely_logprob=0.0)
DOUBTS_NONE = GuardOptions(unlikely_logprob=-99.0, unsure_logprob=-99.0, loop_tokens=1000)


@pytest.fixture
def load(random_model_dir: Callable[[int], Path], tmp_path: Path) -> Callable[[GuardOptions], WhisperEngine]:
    tail = TailStates(np.random.default_rng(0).normal(0, 1, (1400, WIDTH)).astype(np.float32), 100)
    write_profile(tmp_path / "random", Profile("random", "00", True, 500, 150, 15.0, 6.0, 10, tail), {})
    options = EngineOptions("random", random_model_dir(80), device="cpu", threads=1, profile_dir=tmp_path)
    return lambda guard: WhisperEngine(options, guard)


def test_a_doubtful_final_is_decoded_again(load: Callable[[GuardOptions], WhisperEngine]) -> None:
    engine = load(DOUBTS_ALL)
    partial = replace(make_job(noise(2), "partial", language="en"), kind=JobKind.PARTIAL)
    click = make_job(noise(0.2), "click", language="en")
    long = make_job(noise(16), "long", language="en")
    final = make_job(noise(2, 1), "final", language="en", word_times=True)
    results = {result.job_id: result for result in engine.decode([partial, click, long, final])}
    assert [job_id for job_id, result in results.items() if "retried" in result.rules] == ["final"]
    assert engine.retries == 1


def test_padding_is_entered_for_second_tries_alone(
    load: Callable[[GuardOptions], WhisperEngine],
) -> None:
    entered: list[int] = []

    @contextlib.contextmanager
    def padding() -> Iterator[None]:
        entered.append(1)
        yield

    for guard, times in ((DOUBTS_NONE, 0), (DOUBTS_ALL, 1)):
        engine = WhisperEngine(load(guard).options, guard, padding=padding)
        engine.decode([make_job(noise(2), language="en")])
        assert len(entered) == times


def test_a_final_in_order_is_not(load: Callable[[GuardOptions], WhisperEngine]) -> None:
    engine = load(DOUBTS_NONE)
    (result,) = engine.decode([make_job(noise(3), language="en")])
    assert "retried" not in result.rules
    assert engine.retries == 0


def heard(text: str, logprob: float, *rules: str) -> _Heard:
    words = [SpelledWord(word, i, i + 1) for i, word in enumerate(text.split())]
    hypothesis = Hypothesis(tuple(range(len(words))), (logprob,) * len(words), 0.0)
    return _Heard(None, hypothesis, rules, words, [], False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "again", "text"),
    [
        (heard("short", -0.5, "loop"), heard("padded", -0.3), "padded"),
        (heard("short", -0.3, "loop"), heard("padded", -0.5), "short"),
        (heard("", 0.0, "unlikely"), heard("padded", -1.4), "padded"),
        (heard("short", -1.4, "loop"), heard("", 0.0, "unlikely"), "short"),
        (heard("", 0.0, "unlikely"), heard("", 0.0, "no_speech"), ""),
    ],
)
def test_the_likelier_text_wins(first: _Heard, again: _Heard, text: str) -> None:
    kept = _likelier(first, again)
    assert " ".join(word.text for word in kept.words) == text
    assert kept.rules[-1] == "retried"
