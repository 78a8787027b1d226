from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from cohear_server.engine.hypothesis import (
    SpelledWord,
    estimate_times,
    spell_words,
    timed_words,
    word_probability,
)


class Alphabet:
    """Token n spells the n-th of some byte strings, as Whisper's tokens do."""

    def __init__(self, *pieces: str | bytes) -> None:
        self._pieces = [piece if isinstance(piece, bytes) else piece.encode() for piece in pieces]
        self.tokens = list(range(len(pieces)))

    def __call__(self, tokens: Sequence[int]) -> str:
        return b"".join(self._pieces[token] for token in tokens).decode(errors="replace")


def texts(spell: Alphabet, language: str = "en") -> list[str]:
    return [word.text for word in spell_words(spell.tokens, spell, language)]


def test_words_split_at_spaces_and_keep_their_punctuation() -> None:
    assert texts(Alphabet(" Not", "ch", ",", " it", "'s", " he", ".")) == ["Notch,", "it's", "he."]


def test_opening_punctuation_goes_with_the_next_word() -> None:
    assert texts(Alphabet(" he", " said", " ¿", "qué", "?")) == ["he", "said", "¿qué?"]


def test_unspaced_languages_split_at_characters() -> None:
    assert texts(Alphabet("今", "日", "は", "。", "「", "は", "い", "」"), "ja") == ["今", "日", "は。", "「は", "い」"]


def test_tokens_that_share_a_character_stay_together() -> None:
    raw = "你好".encode()
    spell = Alphabet(raw[:2], raw[2:4], raw[4:])
    words = spell_words(spell.tokens, spell, "zh")
    assert words == [SpelledWord("你好", 0, 3)]


def test_a_broken_character_at_the_end_is_kept() -> None:
    assert texts(Alphabet(" a", b" \xe4")) == ["a", "\ufffd"]


def test_no_tokens_no_words() -> None:
    assert texts(Alphabet()) == []


def test_punctuation_counts_for_neither_time_nor_probability() -> None:
    spell = Alphabet(" yes", "!", " ", ".")
    yes, dot = spell_words(spell.tokens, spell, "en")
    assert (yes, dot) == (SpelledWord("yes!", 0, 1), SpelledWord(".", 2, 3))
    assert word_probability(yes, [math.log(0.8), math.log(0.1), 0.0, 0.0]) == pytest.approx(0.8)


def test_what_follows_inner_punctuation_counts() -> None:
    spell = Alphabet(" well", "-", "known", ",")
    assert spell_words(spell.tokens, spell, "en") == [SpelledWord("well-known,", 0, 3)]


def test_estimated_times_share_out_what_is_voiced() -> None:
    words = [SpelledWord("a", 0, 1), SpelledWord("abc", 1, 2)]
    # a pause lies between the first voiced place and the others
    assert estimate_times(words, [100, 800, 900, 1000, 1100]) == [(100, 800), (800, 1100)]
    assert estimate_times([], [0, 10]) == []


def test_times_are_held_in_order_and_inside_the_window() -> None:
    words = [SpelledWord(text, i, i + 1) for i, text in enumerate("abc")]
    timed = timed_words(words, [(-5, 40), (30, 20), (90, 500)], [1.0] * 3, 100)
    assert [(word.start_samples, word.end_samples) for word in timed] == [(0, 40), (40, 40), (90, 100)]
