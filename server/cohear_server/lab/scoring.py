"""Word errors under Whisper's own text normaliser, their spread, and which decoded words are right.

Needs the extra `eval` (jiwer, whisper-normalizer), which nothing at run time does: import it only to evaluate.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import jiwer
import numpy as np
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Word errors of one clip."""

    words: int
    errors: int


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Word error pooled over clips, in percent, with its 95 % interval (bootstrap over clips)."""

    percent: float
    low: float
    high: float


def normalise(text: str, lang: str) -> str:
    return _normaliser(lang == "en")(text)


@cache
def _normaliser(english: bool) -> Callable[[str], str]:
    made: Callable[[str], str] = EnglishTextNormalizer() if english else BasicTextNormalizer()
    return made


def word_errors(reference: str, hypothesis: str, lang: str) -> WordErrors:
    wanted, heard = normalise(reference, lang), normalise(hypothesis, lang)
    if not wanted:
        return WordErrors(0, len(heard.split()))
    found = jiwer.process_words(wanted, heard)
    return WordErrors(len(wanted.split()), found.substitutions + found.deletions + found.insertions)


def error_rate(clips: Sequence[WordErrors]) -> ErrorRate:
    counts = np.array([(clip.words, clip.errors) for clip in clips], float)
    words, errors = counts.sum(axis=0)
    drawn = counts[np.random.default_rng(0).integers(0, len(counts), (RESAMPLES, len(counts)))].sum(axis=1)
    low, high = np.percentile(100 * drawn[:, 1] / np.maximum(1, drawn[:, 0]), [2.5, 97.5])
    return ErrorRate(round(100 * errors / max(1, words), 2), round(float(low), 2), round(float(high), 2))


def words_right(reference: str, words: Sequence[str], lang: str) -> list[bool | None]:
    """Whether each decoded word matches the aligned reference; None for words that the normaliser drops ("um"). A name
    spelled letter by letter, or a number digit by digit, is one word, because F-R-A-N-C-E-S and FRANCES, 4-5 and 45 are
    equally right."""
    spans, heard = _spans(words, lang)
    places = {hypothesis for _, hypothesis in _equal(_units(reference, lang), heard)}
    return [all(i in places for i in span) if span else None for span in spans]


def matched(first: Sequence[str], second: Sequence[str], lang: str) -> list[tuple[int, int]]:
    """Pairs of indices of words that are equal in two texts of the same speech."""
    ours, ours_heard = _spans(first, lang)
    theirs, theirs_heard = _spans(second, lang)
    at = {i: number for number, span in enumerate(theirs) for i in span[:1]}
    equal = dict(_equal(ours_heard, theirs_heard))
    pairs = [(number, at.get(equal.get(span[0], -1))) for number, span in enumerate(ours) if span]
    return [(a, b) for a, b in pairs if b is not None]


def _equal(wanted: Sequence[str], heard: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of indices of the words that an alignment finds equal."""
    if not wanted or not heard:
        return []
    chunks = jiwer.process_words(" ".join(wanted), " ".join(heard)).alignments[0]
    return [
        (chunk.ref_start_idx + i, chunk.hyp_start_idx + i)
        for chunk in chunks
        if chunk.type == "equal"
        for i in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]


def _units(text: str, lang: str) -> list[str]:
    """Normalised words; single letters in a row are one, and so are numbers in a row."""
    groups = itertools.groupby(normalise(text, lang).split(), key=_spelled)
    return [word for spelled, group in groups for word in (["".join(group)] if spelled else group)]


def _spelled(word: str) -> str:
    if word.isdigit():
        return "digits"
    return "letters" if len(word) == 1 and word.isalpha() else ""


def _spans(words: Sequence[str], lang: str) -> tuple[list[range], list[str]]:
    """The range of normalised words that each word became, and all normalised words. The normaliser joins ("twenty one"
    is 21), splits and drops words, so a word's range is what changes when it is added; joined words share a range."""
    spans: list[range] = []
    heard: list[str] = []
    for count in range(1, len(words) + 1):
        now = _units(" ".join(words[:count]), lang)
        same = next((i for i, (a, b) in enumerate(zip(heard, now, strict=False)) if a != b), min(len(heard), len(now)))
        spans.append(range(same, len(now)))
        heard = now
    return [range(span.start, min(span.stop, len(heard))) for span in spans], heard
