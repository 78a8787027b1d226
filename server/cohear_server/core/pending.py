"""What a session waits for: decodes of the open segment, finals of finished ones, marks to acknowledge between them.

Plain records; the session fills and empties them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import CohearError, ServerError
from .context import Said
from .events import Final, Lost, Reason
from .jobs import SAMPLE_RATE_HZ, DecodeOptions, DecodeResult
from .segment import OpenSegment, Window
from .words import shifted


@dataclass(slots=True)
class Trial:
    """A partial or speculative decode of the open segment that is under way."""

    segment: OpenSegment
    window: Window
    origin_s: float
    context: tuple[Said, ...] = ()
    """earlier segments that were decoded in front of `window`"""
    result: DecodeResult | None = None


@dataclass(slots=True)
class PendingFinal:
    segment: OpenSegment
    said: Said
    reason: Reason
    job_id: str
    origin_s: float
    settled: int
    context: tuple[Said, ...]
    result: DecodeResult | None = None

    def event(self, seq: int, own: DecodeResult, options: DecodeOptions) -> Final:
        """Its text, which is in `own`; words there count from its start."""
        said = self.said
        return Final(
            seq=seq,
            segment_id=self.segment.id,
            text=own.text,
            confidence=own.confidence,
            language=own.language,
            start=said.start,
            end=said.end,
            reason=self.reason,
            model=options.model,
            words=tuple(shifted(word, said.start) for word in own.words) if options.word_times else None,
            rules=own.rules,
        )

    def lost(self, fault: CohearError) -> Lost:
        """It has no text."""
        start, end = self.said.start, self.said.end
        seconds, at_s = (end - start) / SAMPLE_RATE_HZ, start / SAMPLE_RATE_HZ
        what = f"{seconds:.1f} s of speech from {at_s:.1f} s on could not be decoded ({fault.message})"
        return Lost(self.segment.id, start, end, ServerError(fault.code, what, fault.remedy))


@dataclass(frozen=True, slots=True)
class Mark:
    """A `finalize` to acknowledge once all finals before it are out."""

    id: str
