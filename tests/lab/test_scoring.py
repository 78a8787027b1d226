"""Scoring: Whisper's normaliser, word errors, and which decoded words are right."""

from __future__ import annotations

import pytest
from cohear_server.lab.scoring import WordErrors, error_rate, matched, word_errors, words_right


def test_word_errors_are_counted_on_normalised_words() -> None:
    assert word_errors("mister quilter has twenty one books", "Mr. Quilter has 21 books!", "en") == WordErrors(5, 0)
    assert word_errors("red green blue", "red greet blue black", "en").errors == 2
    assert word_errors("der Bär", "Der Bär.", "de") == WordErrors(2, 0)


def test_words_where_nothing_is_said_are_errors() -> None:
    assert word_errors("", "thank you", "en") == WordErrors(0, 2)


def test_rate_is_pooled_and_lies_in_its_interval() -> None:
    rate = error_rate([WordErrors(10, 1), WordErrors(90, 0), WordErrors(20, 5)])
    assert rate.percent == 5.0
    assert rate.low <= rate.percent <= rate.high
    assert error_rate([WordErrors(0, 3)]).percent == 300.0


@pytest.mark.parametrize(
    ("reference", "heard", "right"),
    [
        ("the apostle of classes", "The apostles of classes.", [True, False, True, True]),
        ("in twenty one days", "in twenty one, um, days", [True, True, True, None, True]),
        ("mister smith will not", "Mr. Smith won't", [True, True, True]),
        ("f r a n k forty", "F-R-A-N-K 40", [True, True]),
        ("f r a n k", "FRANK", [True]),
        ("enter four five", "Enter 4-5", [True, True]),
        ("", "thank you", [False, False]),
        ("nothing", "", []),
    ],
)
def test_right_words(reference: str, heard: str, right: list[bool | None]) -> None:
    assert words_right(reference, heard.split(), "en") == right


def test_matched_pairs_the_same_words() -> None:
    assert matched(["Oh,", "well,", "hello", "there."], ["well", "hallo", "there"], "en") == [(1, 0), (3, 2)]
    assert matched([], ["a"], "en") == []
