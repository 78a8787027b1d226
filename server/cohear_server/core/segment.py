"""The open segment: which window to decode next for a partial, and the words so far.

The window decides the cost. It covers the whole segment up to `trim_after_s` (shorter when the engine is busy). Beyond
that, committed words are cut off its front, except the last two, which tie the next hypothesis to them. This module
knows no jobs; the session has the windows decoded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .attempts import Attempts, Span
from .events import Partial
from .jobs import SAMPLE_RATE_HZ, DecodeResult, samples_in
from .stabilizer import Stabilizer, StabilizerOptions
from .words import joined_parts, shifted

REFRESH_MS = 100
"""A window that waits for the engine is replaced by one of newer audio this often. So what is decoded is always fresh,
and the cadence follows the speed of the engine."""

_TIE_WORDS = 2
_CUT_MARGIN_SAMPLES = SAMPLE_RATE_HZ // 20


@dataclass(frozen=True, slots=True)
class PartialOptions:
    interval_ms: int = 400
    """Least new audio between two partials of a stream; a busy engine makes it longer. A longer interval shows words
    later, and they are as steady (docs/streaming.md)."""
    first_ms: int = 120
    """Audio after the start of speech before the first partial. With more, words come later and are no steadier; with
    less, more words change (docs/streaming.md)."""
    trim_after_s: float = 6.0
    """longest window that is decoded again as a whole; longer ones lose their committed words"""
    trim_waiting_after_s: float = 3.0
    """The same for a window that waits for the engine. It is a fifth cheaper. Words would change more often at the same
    cadence, but partials then come more slowly, which steadies them."""
    with_context: bool = False
    """short segments are decoded with the speech before them for partials too, not only for finals"""
    stabilizer: StabilizerOptions = field(default_factory=StabilizerOptions)


class OpenSegment:
    def __init__(self, segment_id: int, start: int, speech_at: int, options: PartialOptions) -> None:
        self.id = segment_id
        self.start = start
        self.revision = 0
        self.language = ""
        self.stabilizer = Stabilizer(options.stabilizer)
        self.options = options
        self.attempts = Attempts()
        self._window_start = start
        self.heard_until = start
        self._due = speech_at + samples_in(options.first_ms)
        self._waiting = False
        """a window was given out and is not being decoded yet"""

    def partial(self, seq: int, end: int, *, words: bool) -> Partial:
        """A partial of the words so far; the decoded audio ends at sample `end`."""
        stable, volatile = self.stabilizer.committed, self.stabilizer.volatile
        every = (*stable, *volatile)
        first, rest = joined_parts(stable, volatile, self.language)
        return Partial(
            seq=seq,
            segment_id=self.id,
            revision=self.revision,
            stable=first,
            volatile=rest,
            confidence=sum(word.probability for word in every) / len(every) if every else 0.0,
            end=end,
            words=every if words else None,
        )

    def due_window(self, position: int) -> Span | None:
        """The window to decode when audio up to `position` is there, or None. It replaces the previous one, if that
        still waits."""
        if position < self._due:
            return None
        self._due = position + samples_in(REFRESH_MS)
        limit_s = self.options.trim_waiting_after_s if self._waiting else self.options.trim_after_s
        self._waiting = True
        long = position - self._window_start > limit_s * SAMPLE_RATE_HZ
        return Span(self._window_start, position, timed=long)

    def begun(self, job_id: str) -> None:
        """The engine has begun on this job. If it is the partial that waited, the next one is due after an interval."""
        window = self.attempts.begun(job_id)
        if window is not None:
            self._waiting = False
            self._due = window.end + samples_in(self.options.interval_ms)

    def cut(self, end: int) -> OpenSegment:
        """End the segment at sample `end`. Returns the next one, which begins there with the words heard after it."""
        follower = OpenSegment(self.id + 1, end, end, self.options)
        rest = self.stabilizer.cut(end)
        if rest:
            self.revision += 1
            follower.language = self.language
            follower.revision = 1
            follower.stabilizer.carry(rest)
        return follower

    def hear(self, result: DecodeResult, window: Span) -> bool:
        """Take in a hypothesis of `window`. False if a newer one was taken already."""
        if window.end <= self.heard_until:
            return False
        whole = window.start < self._window_start
        self.heard_until = window.end
        self.revision += 1
        self.language = result.language
        words = [shifted(word, window.start) for word in result.words]
        committed = self.stabilizer.update(words, window.end, whole=whole)
        if result.timed and window.timed and committed > _TIE_WORDS and not whole:
            first = words[committed - _TIE_WORDS]
            self._window_start = max(self._window_start, first.start_samples - _CUT_MARGIN_SAMPLES)
            self.stabilizer.keep_last(_TIE_WORDS)
        return True
