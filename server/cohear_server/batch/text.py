"""Joins decoded windows to a file's transcript: words at their places in the file, cut into segments.

A segment ends with a sentence or at a pause. Its statistics are those of its whole window, just as Whisper's segments
have the statistics of their 30 s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cohear_client.protocol import Final, Timing, Word
from cohear_client.transcript import Statistics, Transcript
from cohear_client.writing import joined_words

from ..core.jobs import SAMPLE_RATE_HZ, DecodeResult
from ..engine.guard import compression_ratio
from .splitter import Window

SENTENCE_ENDS = (".", "?", "!", "。", "？", "！", "…")
PAUSE_S = 1.0
"""A pause this long between two words ends a segment."""
ABBREVIATIONS = frozenset({"mr.", "mrs.", "ms.", "dr.", "st.", "prof.", "vs.", "jr.", "sr."})


@dataclass(frozen=True, slots=True)
class WindowText:
    """The words of one window at their places in the file."""

    language: str
    words: tuple[Word, ...]
    """times count from the start of the file"""
    statistics: Statistics


def placed(window: Window, result: DecodeResult) -> WindowText:
    """The words of a window, at their places in the file. `result` must be without error."""
    words: list[Word] = []
    for word in result.words:
        start, end = word.start_samples, word.end_samples
        # estimated word times are too coarse to say which side of a pause a word is on
        begin, end = window.span(start, end) if result.timed else (window.place(start), window.place(end, end=True))
        begin_s = max(begin / SAMPLE_RATE_HZ, words[-1].end_s if words else 0.0)
        words.append(Word(word.text, begin_s, max(end / SAMPLE_RATE_HZ, begin_s), round(word.probability, 4)))
    statistics = Statistics(
        window.start / SAMPLE_RATE_HZ,
        result.mean_logprob,
        result.no_speech_prob,
        compression_ratio(result.text) if result.text else 1.0,
        result.temperature,
    )
    return WindowText(result.language, tuple(words), statistics)


def transcript(texts: Iterable[WindowText], model: str) -> Transcript:
    """The transcript of a file; `texts` are in the order of the file."""
    segments: list[Final] = []
    statistics: list[Statistics] = []
    for text in texts:
        for words in _segments(text.words, text.language):
            segments.append(
                Final(
                    seq=len(segments),
                    segment_id=len(segments),
                    text=joined_words((word.text for word in words), text.language),
                    confidence=sum(word.confidence for word in words) / len(words),
                    language=text.language,
                    start_s=words[0].start_s,
                    end_s=words[-1].end_s,
                    reason="endpoint",
                    model=model,
                    timing=Timing(),
                    words=words,
                )
            )
            statistics.append(text.statistics)
    return Transcript(tuple(segments), statistics=tuple(statistics))


def _segments(words: Sequence[Word], language: str) -> list[tuple[Word, ...]]:
    cuts = [0]
    for number, (before, after) in enumerate(pairwise(words), 1):
        ends = before.text.endswith(SENTENCE_ENDS) and before.text.lower() not in ABBREVIATIONS
        if ends or after.start_s - before.end_s >= PAUSE_S:
            cuts.append(number)
    return [tuple(words[a:b]) for a, b in zip(cuts, [*cuts[1:], len(words)], strict=True) if b > a]
