from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from cohear_server.engine.guard import GuardOptions, compression_ratio, is_silent, judge, loop_end
from cohear_server.engine.hypothesis import Hypothesis

GUARD = GuardOptions()
WORDS = [" the", " cat", " sat", " on", " a", " mat", ".", " and", " then", " it"]


def spell(tokens: Sequence[int]) -> str:
    return "".join(WORDS[token % len(WORDS)] for token in tokens)


def heard(tokens: Sequence[int], logprob: float = -0.2, no_speech: float = 0.1) -> Hypothesis:
    return Hypothesis(tuple(tokens), (logprob,) * len(tokens), no_speech)


def judged(hypothesis: Hypothesis, cap: int = 30) -> tuple[list[int], tuple[str, ...]]:
    verdict = judge(hypothesis, cap, spell, GUARD)
    assert len(verdict.hypothesis.logprobs) == len(verdict.hypothesis.tokens)
    return list(verdict.hypothesis.tokens), verdict.rules


def test_speech_is_left_alone() -> None:
    assert judged(heard(range(10))) == (list(range(10)), ())
    # the model doubts that it is speech, but is sure of the words
    assert judged(heard(range(10), no_speech=0.9)) == (list(range(10)), ())


def test_a_text_longer_than_its_window_allows_is_cut() -> None:
    assert judged(heard(range(12)), cap=10) == (list(range(10)), ("token_cap",))


def test_a_loop_up_to_the_cap_keeps_one_round() -> None:
    assert judged(heard([0, 1, 2] + [3, 4] * 14), cap=31) == ([0, 1, 2, 3, 4], ("token_cap", "loop"))


def test_repetition_that_ends_by_itself_is_speech() -> None:
    tokens = [0, 1] + [3, 4] * 5
    assert judged(heard(tokens)) == (tokens, ())


def test_unless_nobody_speaks_that_fast() -> None:
    assert judged(heard([0, 1] + [3, 4] * 7 + [6]))[1] == ("loop",)


def test_unsure_words_without_speech_are_dropped() -> None:
    assert judged(heard([0, 1], logprob=-1.2, no_speech=0.7)) == ([], ("no_speech",))


def test_a_phrase_that_the_model_hardly_believes_is_dropped() -> None:
    assert judged(heard(range(6), logprob=-1.8, no_speech=0.4)) == ([], ("unlikely",))
    assert judged(heard(range(2), logprob=-1.8, no_speech=0.4)) == ([0, 1], ())


def test_punctuation_alone_is_no_text() -> None:
    assert judged(heard([6])) == ([], ("no_words",))


def test_unsure_repetition_is_dropped() -> None:
    assert judged(heard([0, 1, 2, 3, 4] * 20, logprob=-1.2), cap=300) == ([], ("repetitive",))


@pytest.mark.parametrize(
    ("tokens", "end"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], None),
        ([5, 5, 5], None),
        ([5] * 8, 1),
        ([0, 5, 5, 5, 5, 5, 5, 5, 5], 2),
        ([0, *([1, 2, 3] * 4), 1, 2], 4),
        ([1, 2, 3] * 2, None),
        ([], None),
    ],
)
def test_where_a_loop_begins(tokens: list[int], end: int | None) -> None:
    assert loop_end(tokens, GUARD) == end


def test_compression_tells_loops_from_sentences() -> None:
    assert compression_ratio("the earliest book printed with movable types was the Gutenberg bible") < 1.5
    assert compression_ratio("I'm sorry. " * 20) > 2.4


def test_silence_is_no_sound_at_all() -> None:
    assert is_silent(np.zeros(100, np.int16))
    assert not is_silent(np.array([0, -32768], np.int16))
