"""The context of a short segment: the speech before it, with which it is decoded, and whose words are then removed.

Whisper guesses at a second of speech alone. So a segment shorter than `short_s` is decoded together with the segments
just before it, until the window is that long. Their words are known from their own finals; they are matched and removed
from the front. Measured: this lowers word error for a third more decoding. The same words as a text prompt raise it,
and cutting by aligned word times loses more words than matching.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .jobs import SAMPLE_RATE_HZ, DecodeResult, HypothesisWord
from .words import ends_sentence, joined, matched_prefix, sentence_case


@dataclass(frozen=True, slots=True)
class ContextOptions:
    short_s: float = 5.0
    """context is added until the window is this long"""
    economic_short_s: float = 1.5
    """The same at full economy; in between at less. With `economic_cut_s` it nearly halves the audio that is decoded
    for finals, at half a point more word error (bench/wer.py)."""
    gap_s: float = 2.0
    """after a longer pause the speech before it no longer helps"""
    reach_s: float = 10.0
    """context never begins earlier than this before the segment"""


@dataclass(slots=True)
class Said:
    """A finished segment, samples [start, end); its words are None until its final is out."""

    start: int
    end: int
    words: tuple[HypothesisWord, ...] | None = None


class Context:
    """The finished segments of one stream that may still be context."""

    def __init__(self, options: ContextOptions) -> None:
        self._options = options
        self.economy = 0.0
        """0 to 1, see `economic_short_s`"""
        self._said: deque[Said] = deque()

    @property
    def said(self) -> tuple[Said, ...]:
        """All kept segments, oldest first."""
        return tuple(self._said)

    def restore(self, said: Sequence[Said]) -> None:
        self._said = deque(said)

    def add(self, start: int, end: int) -> Said:
        """A segment is finished; the caller fills in its words when they are known."""
        said = Said(start, end)
        self._said.append(said)
        return said

    def before(self, start: int, end: int) -> tuple[Said, ...]:
        """The segments to decode before a segment [start, end), oldest first; together they are long enough."""
        return self._before(start, end, self.economy)

    def shortened(self, start: int, end: int) -> bool:
        """Whether `before` gives less than it would without economy."""
        return self.economy > 0 and len(self._before(start, end, 0.0)) > len(self.before(start, end))

    def _before(self, start: int, end: int, economy: float) -> tuple[Said, ...]:
        options = self._options
        short_s = options.short_s + economy * (options.economic_short_s - options.short_s)
        found: deque[Said] = deque()
        follower = start
        for said in reversed(self._said):
            far = start - said.start > options.reach_s * SAMPLE_RATE_HZ
            enough = end - follower >= short_s * SAMPLE_RATE_HZ
            if enough or far or follower - said.end > options.gap_s * SAMPLE_RATE_HZ:
                break
            found.appendleft(said)
            follower = said.start
        return tuple(found)

    def needed_from(self, position: int) -> int:
        """The oldest sample that a segment from `position` on may need; older segments are forgotten."""
        reach = self._options.reach_s * SAMPLE_RATE_HZ
        while self._said and position - self._said[0].start > reach:
            self._said.popleft()
        return self._said[0].start if self._said else position


def own_words(result: DecodeResult, context: Sequence[Said], start: int) -> DecodeResult:
    """The part of a result that belongs to the segment from sample `start` on, where the window began with `context`.

    Its words count from `start`. All words of the context must be known. Where those end a sentence, its first word
    begins one, also if the model wrote both as one sentence."""
    if not context:
        return result
    known = [word for said in context for word in said.words or ()]
    shift = start - context[0].start
    own = tuple(
        HypothesisWord(w.text, max(0, w.start_samples - shift), max(1, w.end_samples - shift), w.probability)
        for w in result.words[matched_prefix(known, result.words) :]
    )
    if own and known and ends_sentence(known[-1].text):
        own = (replace(own[0], text=sentence_case(own[0].text, result.language)), *own[1:])
    confidence = sum(word.probability for word in own) / len(own) if own else 0.0
    return replace(result, words=own, text=joined(own, result.language), confidence=confidence)
