"""What a session knows, put into the messages that its client reads: samples become seconds, words become text.

It decides nothing: when a message is due, and in which order, is the session's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cohear_client import protocol

from ..errors import CohearError
from .jobs import SAMPLE_RATE_HZ, DecodeOptions, DecodeResult, HypothesisWord
from .segment import OpenSegment
from .words import joined


@dataclass(frozen=True, slots=True)
class SegmentSpan:
    """A finished segment: samples [start, end) of the stream at 16 kHz, and why it ended there."""

    segment_id: int
    start: int
    end: int
    reason: protocol.Reason


def partial_message(seq: int, segment: OpenSegment, window_end: int, *, words: bool) -> protocol.Partial:
    """What is understood so far; its timing is filled in when it is sent."""
    stable, volatile = segment.stabilizer.committed, segment.stabilizer.volatile
    every = [*stable, *volatile]
    mean = sum(word.probability for word in every) / len(every) if every else 0.0
    return protocol.Partial(
        seq=seq,
        segment_id=segment.id,
        revision=segment.revision,
        stable=joined(stable, segment.language),
        volatile=joined(volatile, segment.language),
        confidence=round(mean, 4),
        audio_end_s=window_end / SAMPLE_RATE_HZ,
        timing=protocol.Timing(),
        words=_words(every, 0) if words else None,
    )


def final_message(seq: int, span: SegmentSpan, result: DecodeResult, options: DecodeOptions) -> protocol.Final:
    """The text of a segment; its timing is filled in when it is sent."""
    return protocol.Final(
        seq=seq,
        segment_id=span.segment_id,
        text=result.text,
        confidence=round(result.confidence, 4),
        language=result.language,
        start_s=span.start / SAMPLE_RATE_HZ,
        end_s=span.end / SAMPLE_RATE_HZ,
        reason=span.reason,
        model=options.model,
        timing=protocol.Timing(),
        words=_words(result.words, span.start) if options.word_times else (),
        rules=result.rules,
    )


def lost_message(start: int, end: int, fault: CohearError) -> protocol.Error:
    """A segment that no engine could decode; its samples count as shed."""
    seconds, at_s = (end - start) / SAMPLE_RATE_HZ, start / SAMPLE_RATE_HZ
    what = f"{seconds:.1f} s of speech from {at_s:.1f} s on could not be decoded ({fault.message})"
    return protocol.Error(fault.code, what, fault.remedy, fatal=False)


def _words(words: Sequence[HypothesisWord], offset: int) -> tuple[protocol.Word, ...]:
    return tuple(
        protocol.Word(
            word.text,
            round((word.start_samples + offset) / SAMPLE_RATE_HZ, 3),
            round((word.end_samples + offset) / SAMPLE_RATE_HZ, 3),
            round(word.probability, 4),
        )
        for word in words
    )
