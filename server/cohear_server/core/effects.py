"""The effects of a call of a session: what to do, as one list in the order in which it came about.

The holder of the session carries the list out from the front: so a job is submitted before it is cancelled, and events
leave in order. Every job ends with a `Cancel` or with its own result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .events import Event
from .jobs import DecodeJob


@dataclass(frozen=True, slots=True)
class Submit:
    """Decode this. A partial replaces the one of its session that still waits."""

    job: DecodeJob


@dataclass(frozen=True, slots=True)
class Cancel:
    """The result of this job is no longer needed; if it comes all the same, it does no harm."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Emit:
    """Send this event to the client. `job_id` names the job that it comes from; its latency counts from `origin_s`."""

    event: Event
    job_id: str = ""
    origin_s: float = 0.0


Effect = Submit | Cancel | Emit


class Effects:
    """Collects the effects of one call, in order, until they are taken. It also numbers partials and finals."""

    def __init__(self) -> None:
        self.seq = 0
        """number of the last partial or final"""
        self._list: list[Effect] = []

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def submit(self, job: DecodeJob) -> None:
        self._list.append(Submit(job))

    def cancel(self, job_ids: Iterable[str]) -> None:
        self._list += map(Cancel, job_ids)

    def emit(self, event: Event, job_id: str = "", origin_s: float = 0.0) -> None:
        self._list.append(Emit(event, job_id, origin_s))

    def take(self) -> list[Effect]:
        taken, self._list = self._list, []
        return taken
