"""Words and the text they make."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cohear_client.writing import UNSPACED, joined_words

from .jobs import HypothesisWord

DOTTED_I = frozenset({"tr", "az"})
"""languages in which the capital of i is not I"""


def joined(words: Sequence[HypothesisWord], language: str) -> str:
    """Running text."""
    return joined_words((word.text for word in words), language)


def joined_parts(first: Sequence[HypothesisWord], rest: Sequence[HypothesisWord], language: str) -> tuple[str, str]:
    """Running text in two parts; where spaces are words' own, one between the parts stays with the second."""
    before = joined(first, language)
    after = joined((*first, *rest), language)[len(before) :]
    return before, after if language in UNSPACED else after.strip()


def ends_sentence(word: str) -> bool:
    """Whether the word is the last of a sentence; three dots leave that open."""
    return word.endswith((".", "?", "!")) and not word.endswith("..")


def sentence_case(word: str, language: str) -> str:
    """The word as a sentence begins with it. One that has capitals of its own, as iPhone, stays as it is."""
    first = re.search(r"\w", word)
    if first is None or not first[0].isalpha() or word != word.lower() or language in DOTTED_I:
        return word
    capital = first[0].upper()
    return word[: first.start()] + capital + word[first.end() :] if len(capital) == 1 else word


def shifted(word: HypothesisWord, by_samples: int) -> HypothesisWord:
    """The same word, counted from another start."""
    start, end = word.start_samples + by_samples, word.end_samples + by_samples
    return HypothesisWord(word.text, start, end, word.probability)


def normalised(text: str) -> str:
    """A word as it is compared: lower case, letters and digits only. Punctuation alone does not change."""
    return re.sub(r"[^\w']+", "", text.lower()) or text


def matched_prefix(known: Sequence[HypothesisWord], words: Sequence[HypothesisWord]) -> int:
    """How many leading `words` are those of `known`: the prefix with the smallest edit distance to it.

    Of equally near prefixes, the one closest in length to `known` is taken. So a word that was heard differently still
    counts as one of `known`, and does not appear twice.
    """
    keys, heard = [normalised(w.text) for w in known], [normalised(w.text) for w in words]
    if heard[: len(keys)] == keys:
        return len(keys)
    row = list(range(len(heard) + 1))
    for i, key in enumerate(keys, 1):
        diagonal, row[0] = row[0], i
        for j, word in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (key != word))
    return min(range(len(row)), key=lambda j: (row[j], abs(j - len(keys))))
