from __future__ import annotations

import pytest
from cohear_server.core.jobs import HypothesisWord
from cohear_server.core.words import (
    ends_sentence,
    joined,
    joined_parts,
    matched_prefix,
    normalised,
    sentence_case,
)


def words(text: str) -> list[HypothesisWord]:
    return [HypothesisWord(word, 0, 1, 0.5) for word in text.split()]


def test_matched_prefix_is_the_nearest() -> None:
    assert matched_prefix(words("a b"), words("a b c")) == 2
    assert matched_prefix(words("a b"), words("b c")) == 1
    assert matched_prefix(words("a b"), words("x b c")) == 2
    assert matched_prefix([], words("a")) == 0
    assert matched_prefix(words("a"), []) == 0


def test_punctuation_alone_is_not_equal_to_nothing() -> None:
    assert normalised("...") == "..."
    assert normalised("Don't!") == "don't"


def test_text_follows_the_language() -> None:
    assert joined(words("so it is"), "en") == "so it is"
    assert joined(words("你 好"), "zh") == "你好"


def test_the_spaces_of_an_unspaced_language_are_those_that_its_words_bring() -> None:
    mixed = [HypothesisWord(text, 0, 1, 0.5) for text in ("用", "Windows", " 11", " Pro", "和")]
    assert joined(mixed, "zh") == "用Windows 11 Pro和"
    assert joined_parts(mixed[:2], mixed[2:], "zh") == ("用Windows", " 11 Pro和")
    assert joined_parts([], mixed[2:], "zh") == ("", "11 Pro和")
    assert joined_parts(words("so it"), words("is"), "en") == ("so it", "is")


@pytest.mark.parametrize(
    ("word", "language", "expected"),
    [
        ("ask", "en", "Ask"),
        ('"ask', "en", '"Ask'),
        ("über", "de", "Über"),
        ("iPhone", "en", "iPhone"),
        ("9th", "en", "9th"),
        ("ßa", "de", "ßa"),
        ("istanbul", "tr", "istanbul"),
        ("问", "zh", "问"),
        ("...", "en", "..."),
    ],
)
def test_a_sentence_begins_with_a_capital_where_its_script_has_one(word: str, language: str, expected: str) -> None:
    assert sentence_case(word, language) == expected


def test_three_dots_do_not_end_a_sentence() -> None:
    assert [ends_sentence(word) for word in ("you.", "you?", "you!", "you...", "you,", "")] == [True] * 3 + [False] * 3
