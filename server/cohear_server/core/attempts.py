"""The decodes of the open segment that are under way: partials, and the speculative final of the present pause.

It only keeps the books: which job decodes which window. The session submits and cancels the jobs.
"""

from __future__ import annotations

from dataclasses import dataclass

from .context import Said
from .jobs import DecodeResult


@dataclass(frozen=True, slots=True)
class Span:
    """Samples [start, end) of the stream; `timed` asks for measured word times, to cut by them."""

    start: int
    end: int
    timed: bool = False


@dataclass(slots=True)
class Attempt:
    """A job that decodes `window`, and its result when it is there."""

    job_id: str
    window: Span
    origin_s: float
    """arrival time of the last audio in it"""
    context: tuple[Said, ...] = ()
    """earlier segments that are decoded in front of the window"""
    traded: tuple[str, ...] = ()
    """see `Final.traded`"""
    result: DecodeResult | None = None


class Attempts:
    """The attempts of one segment. At most one partial waits for the engine; others may be in it."""

    def __init__(self) -> None:
        self.speculation: Attempt | None = None
        """the final of the present pause"""
        self._open: dict[str, Attempt] = {}
        self._taken_back: set[str] = set()
        self._waiting: Attempt | None = None

    def partial(self, attempt: Attempt) -> None:
        """Add a partial; it replaces the one that still waits."""
        if self._waiting is not None:
            self._open.pop(self._waiting.job_id, None)
        self._waiting = self._open[attempt.job_id] = attempt

    def speculate(self, attempt: Attempt) -> None:
        self.speculation = self._open[attempt.job_id] = attempt

    def begun(self, job_id: str) -> Span | None:
        """The engine has begun on this job. Returns its window, if it is the partial that waited."""
        if self._waiting is None or self._waiting.job_id != job_id:
            return None
        window, self._waiting = self._waiting.window, None
        return window

    def resolve(self, result: DecodeResult) -> Attempt | None:
        """Remove and return the attempt of this result."""
        attempt = self._open.pop(result.job_id, None)
        if attempt is not None:
            attempt.result = result
        return attempt

    def take_back(self) -> list[str]:
        """Speech goes on after the pause. Returns the jobs to cancel; a result that comes all the same serves as a
        partial."""
        attempt, self.speculation = self.speculation, None
        if attempt is None:
            return []
        self._taken_back.add(attempt.job_id)
        return [attempt.job_id]

    def final(self, end: int) -> Attempt | None:
        """Remove and return the speculative final, if the segment ends where it expected."""
        attempt = self.speculation
        if attempt is None or attempt.window.end != end:
            return None
        self.speculation = None
        self._open.pop(attempt.job_id, None)
        return attempt

    def close(self) -> list[str]:
        """The segment is over. Returns the jobs to cancel."""
        last = self.take_back()
        rest = [job_id for job_id in self._open if job_id not in self._taken_back]
        self._open.clear()
        return [*last, *rest]
