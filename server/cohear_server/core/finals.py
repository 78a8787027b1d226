"""The queue of finished segments that wait for their text, and of `Finalize` marks: each leaves once, in order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ..errors import ClientError, CohearError, ServerError
from .attempts import Attempt
from .context import Said, own_words
from .events import Final, Lost, Reason
from .jobs import SAMPLE_RATE_HZ, DecodeOptions, DecodeResult
from .words import shifted

MAX_MARKS = 256
"""`Finalize` commands that wait for their finals; more are refused"""
MAX_MARK_CHARS = 256

MAX_BACKLOG_S = 45.0
"""A session is `full` when so much finished speech waits for its text."""


@dataclass(slots=True)
class PendingFinal:
    """A finished segment, and the attempt that will give its text."""

    segment_id: int
    said: Said
    reason: Reason
    origin_s: float
    attempt: Attempt
    settled: int = 0
    """its length in the client's samples"""
    traded: tuple[str, ...] = ()
    """in addition to what the attempt traded"""

    @property
    def own(self) -> DecodeResult | None:
        """Its own result, without the words of its context; None while that is not known."""
        result = self.attempt.result
        if result is None or result.error is not None:
            return result
        return own_words(result, self.attempt.context, self.said.start)

    def event(self, seq: int, own: DecodeResult, options: DecodeOptions) -> Final:
        """The final with the text of `own`, whose words count from the segment's start."""
        said = self.said
        return Final(
            seq=seq,
            segment_id=self.segment_id,
            text=own.text,
            confidence=own.confidence,
            language=own.language,
            start=said.start,
            end=said.end,
            reason=self.reason,
            model=options.model,
            words=tuple(shifted(word, said.start) for word in own.words) if options.word_times else None,
            rules=own.rules,
            traded=(*self.attempt.traded, *self.traded),
        )

    def lost(self, fault: CohearError) -> Lost:
        """The event for a segment that could not be decoded."""
        start, end = self.said.start, self.said.end
        seconds, at_s = (end - start) / SAMPLE_RATE_HZ, start / SAMPLE_RATE_HZ
        what = f"{seconds:.1f} s of speech from {at_s:.1f} s on could not be decoded ({fault.message})"
        return Lost(self.segment_id, start, end, ServerError(fault.code, what, fault.remedy))


@dataclass(frozen=True, slots=True)
class Mark:
    """A `Finalize` that is answered when all finals before it are out."""

    id: str


class Finals:
    """The queue. A mark that a client repeats after a lost connection, without audio in between, is the same mark."""

    def __init__(self, marks: tuple[str, ...] = ()) -> None:
        self._waiting: deque[PendingFinal | Mark] = deque()
        self._marks_here: deque[str] = deque(marks, maxlen=MAX_MARKS)
        """marks since the last audio"""
        self._repeated: deque[str] = deque(marks, maxlen=MAX_MARKS)
        """those of them that a client may repeat because it came back"""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def marks_here(self) -> tuple[str, ...]:
        """Marks since the last audio, oldest first."""
        return tuple(self._marks_here)

    @property
    def backlog_s(self) -> float:
        """Seconds of finished segments that have no text yet."""
        waiting = (
            item.said for item in self._waiting if isinstance(item, PendingFinal) and item.attempt.result is None
        )
        return sum(said.end - said.start for said in waiting) / SAMPLE_RATE_HZ

    @property
    def oldest_start(self) -> int | None:
        """Start of the oldest segment whose final is not out."""
        return next((item.said.start for item in self._waiting if isinstance(item, PendingFinal)), None)

    def add(self, final: PendingFinal) -> None:
        self._waiting.append(final)

    def repeats(self, mark: str) -> bool:
        """Whether this mark repeats one from before the connection was lost. Raises ClientError (`bad_field`,
        `too_many`) for a mark that cannot be taken."""
        if mark in self._repeated:
            self._repeated.remove(mark)
            return True
        _check(mark)
        if sum(isinstance(item, Mark) for item in self._waiting) >= MAX_MARKS:
            wait = "wait for `finalized` before the next finalize"
            raise ClientError("too_many", f"{MAX_MARKS} finalize messages are not answered yet", wait)
        return False

    def mark(self, mark: str) -> None:
        """Add a mark; it is answered after everything that waits now."""
        self._waiting.append(Mark(mark))
        self._marks_here.append(mark)

    def audio_came(self) -> None:
        self._marks_here.clear()
        self._repeated.clear()

    def client_came_back(self) -> None:
        self._repeated = deque(self._marks_here, maxlen=MAX_MARKS)

    def resolve(self, result: DecodeResult) -> None:
        for item in self._waiting:
            if isinstance(item, PendingFinal) and item.attempt.job_id == result.job_id:
                item.attempt.result = result

    def ready(self) -> PendingFinal | Mark | None:
        """The oldest entry, if it may leave now."""
        if not self._waiting:
            return None
        head = self._waiting[0]
        return head if isinstance(head, Mark) or head.attempt.result is not None else None

    def pop(self) -> None:
        """Remove the oldest entry."""
        self._waiting.popleft()


def _check(mark: str) -> None:
    remedy = f"use at most {MAX_MARK_CHARS} characters of Unicode text"
    if len(mark) > MAX_MARK_CHARS:
        raise ClientError("bad_field", f"field 'id' is {len(mark)} characters long", remedy)
    if any("\ud800" <= char <= "\udfff" for char in mark):
        raise ClientError("bad_field", "field 'id' holds half of a character (a lone surrogate)", remedy)
