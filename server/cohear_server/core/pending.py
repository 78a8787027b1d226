"""What a session waits for: decodes of the open segment, finals of finished ones, marks to acknowledge between them.

Plain records; the session fills and empties them.
"""

from __future__ import annotations

from dataclasses import dataclass

from cohear_client import protocol

from .context import Said
from .jobs import DecodeResult
from .segment import OpenSegment, Window


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
    reason: protocol.Reason
    job_id: str
    origin_s: float
    settled: int
    context: tuple[Said, ...]
    result: DecodeResult | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A `finalize` to acknowledge once all finals before it are out."""

    id: str
