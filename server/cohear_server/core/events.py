"""The events of a stream, in the core's own terms: positions are samples at 16 kHz since the stream began.

A wire translates them into the messages of its protocol. The last group comes from the holder of the session, not from
the session itself; it is here so that a wire finds all that it must translate in one place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..errors import CohearError
from .jobs import HypothesisWord
from .ledger import SampleCount

Reason = Literal["endpoint", "max_length", "finalize", "stop"]
"""why a segment ended"""

Words = tuple[HypothesisWord, ...]
"""their samples count from the stream's start"""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    at: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    at: int


@dataclass(frozen=True, slots=True)
class Partial:
    """What is understood so far of the open segment. `stable` only grows within a segment; `volatile` may change."""

    seq: int
    """counts partials and finals of the stream together, from 1"""
    segment_id: int
    revision: int
    stable: str
    volatile: str
    confidence: float
    """mean word probability, 0..1"""
    end: int
    """the decoded audio ends here"""
    words: Words | None = None
    """of both texts; None where the client did not ask for words"""


@dataclass(frozen=True, slots=True)
class Final:
    """The text of a finished segment [`start`, `end`). Each final comes once, in order."""

    seq: int
    segment_id: int
    text: str
    confidence: float
    language: str
    start: int
    end: int
    reason: Reason
    model: str
    words: Words | None = None
    rules: tuple[str, ...] = ()
    """names of the anti-hallucination rules that altered or removed text"""
    traded: tuple[str, ...] = ()
    """How a busy server traded accuracy for speed: `short_context`, decoded with less of the speech before it;
    `early_cut`, ended at a pause although the speaker went on. Empty: not at all."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A segment [`start`, `end`) that the engine could not decode; its samples count as shed."""

    segment_id: int
    start: int
    end: int
    fault: CohearError = field(compare=False)


@dataclass(frozen=True, slots=True)
class Finalized:
    """Every final of the audio before `Finalize` is out."""

    mark: str


@dataclass(frozen=True, slots=True)
class Stats:
    """Statistics of the stream: arrival jitter (RFC 3550), audio that is not settled, and the fate of each sample."""

    jitter_s: float
    lag_s: float
    drift_ppm: float
    gaps: int
    samples: SampleCount
    settled: int = 0
    """all audio before this sample is final or silent, so no session has to hear it again"""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something is less than promised, or is as promised again; the stream goes on."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The last event of a stream that ended in order."""

    samples: SampleCount
    segments: int


# --- from the holder of the session ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a stream."""

    max_segment_s: float = 0.0
    idle_timeout_s: float = 0.0
    resume_window_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ready:
    """The stream is accepted, or resumed. `next_sample` counts in the client's own rate."""

    session_id: str
    token: str
    model: str
    limits: Limits = field(default_factory=Limits)
    next_sample: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """Something went wrong. When `fatal`, the remaining finals and `Done` still follow."""

    fault: CohearError = field(compare=False)
    fatal: bool = True


@dataclass(frozen=True, slots=True)
class Closing:
    """The server is about to close this connection; the client may come back after so many seconds."""

    reason: str
    reconnect_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of the client comes back to its own wire, in its turn among the events, so that the answer fits what
    was told before. Nobody else looks inside."""

    message: object


Decoded = Partial | Final
"""events that come from a decode job, and whose latency is measured"""

Event = (
    SpeechStarted
    | SpeechEnded
    | Partial
    | Final
    | Lost
    | Finalized
    | Stats
    | Notice
    | Done
    | Ready
    | Failed
    | Closing
    | Heard
)
