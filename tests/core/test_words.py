from __future__ import annotations

from cohear_server.core.jobs import HypothesisWord
from cohear_server.core.words import joined, matched_prefix, normalised


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
