"""The decoder's text of one window: tokens with their log probabilities, and the words that they spell.

It knows no audio and no model, and does not judge the text; `guard` does.
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cohear_client.writing import UNSPACED

from ..core.jobs import HypothesisWord

Spell = Callable[[Sequence[int]], str]

REPLACEMENT = "\ufffd"
OPENING = frozenset("([{¿¡«“„‘「『（")
PUNCTUATION = frozenset(string.punctuation) | OPENING | frozenset("。，！？：、；…»”’」』）")
LONGEST_PIECE = 8
"""most tokens of a character: it has at most four bytes, so what is not whole after so many tokens is no character"""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    tokens: tuple[int, ...]
    """text tokens only"""
    logprobs: tuple[float, ...]
    """natural logarithm of each token's probability"""
    no_speech_prob: float

    @property
    def mean_logprob(self) -> float:
        return sum(self.logprobs) / len(self.logprobs) if self.logprobs else 0.0

    def cut(self, count: int) -> Hypothesis:
        """The first `count` tokens of it."""
        return Hypothesis(self.tokens[:count], self.logprobs[:count], self.no_speech_prob)


@dataclass(frozen=True, slots=True)
class SpelledWord:
    """A word and the tokens [first, last) that spell it. Punctuation after it is only in the text: it is not spoken,
    its probability says little, and an alignment would give it the pause."""

    text: str
    first: int
    last: int


def spell_words(tokens: Sequence[int], spell: Spell, language: str) -> list[SpelledWord]:
    """Split into words at spaces, or at every piece where the language has none, which then keeps the space that is
    before it; punctuation stays with the word before it (opening punctuation with the one after it)."""
    words: list[SpelledWord] = []
    for piece in _pieces(tokens, spell):
        if words and not _begins_word(piece.text, words[-1].text, language in UNSPACED):
            last = words[-1].last if _is_punctuation(piece.text) else piece.last
            words[-1] = SpelledWord(words[-1].text + piece.text, words[-1].first, last)
        else:
            words.append(piece)
    unspaced = language in UNSPACED
    stripped = (replace(word, text=word.text.rstrip() if unspaced else word.text.strip()) for word in words)
    return [word for word in stripped if word.text.strip()]


def word_probability(word: SpelledWord, logprobs: Sequence[float]) -> float:
    """Mean probability of its tokens, 0..1."""
    spoken = logprobs[word.first : word.last]
    return min(1.0, sum(map(math.exp, spoken)) / len(spoken))


def estimate_times(words: Sequence[SpelledWord], voiced: Sequence[int]) -> list[tuple[int, int]]:
    """Samples [start, end) of each word: the parts of the window with sound, shared out by number of characters."""
    if not words:
        return []
    lengths = [len(word.text) for word in words]
    marks = [voiced[edge * (len(voiced) - 1) // sum(lengths)] for edge in itertools.accumulate(lengths, initial=0)]
    return list(itertools.pairwise(marks))


def timed_words(
    words: Sequence[SpelledWord], times: Sequence[tuple[int, int]], probabilities: Sequence[float], samples: int
) -> tuple[HypothesisWord, ...]:
    """Words with their times held inside the window and in order."""
    out: list[HypothesisWord] = []
    earliest = 0
    for word, (start, end), probability in zip(words, times, probabilities, strict=True):
        first = min(max(start, earliest), samples)
        earliest = min(max(end, first), samples)
        out.append(HypothesisWord(word.text, first, earliest, probability))
    return tuple(out)


def _pieces(tokens: Sequence[int], spell: Spell) -> list[SpelledWord]:
    """The shortest runs of tokens that spell whole characters: a token may hold part of one."""
    pieces: list[SpelledWord] = []
    first = 0
    for last in range(1, len(tokens) + 1):
        text = spell(tokens[first:last])
        if REPLACEMENT not in text or last - first >= LONGEST_PIECE or last == len(tokens):
            pieces.append(SpelledWord(text, first, last))
            first = last
    return pieces


def _begins_word(text: str, before: str, unspaced: bool) -> bool:
    if text.startswith(" "):
        return True
    opened = all(character in OPENING for character in before.strip())
    return unspaced and not opened and (not _is_punctuation(text) or text[0] in OPENING)


def _is_punctuation(text: str) -> bool:
    stripped = text.strip()
    return bool(stripped) and all(character in PUNCTUATION for character in stripped)
