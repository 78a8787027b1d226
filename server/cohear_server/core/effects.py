"""What a session wants done, as one list in the order in which it came about.

Whoever holds the session carries the list out from the front: a job is submitted before it is cancelled, and an event
leaves after those before it. Every job ends with a `Cancel`, or with its own result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .events import Event
from .jobs import DecodeJob


@dataclass(frozen=True, slots=True)
class Submit:
    """Have this decoded. A partial takes the place of the one of its session that still waits."""

    job: DecodeJob


@dataclass(frozen=True, slots=True)
class Cancel:
    """The result of this job is not needed any more; one that comes all the same does no harm."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the client. `job_id` names the decoding behind the event, whose latency counts from `origin_s`."""

    event: Event
    job_id: str = ""
    origin_s: float = 0.0


Effect = Submit | Cancel | Emit


class Effects:
    """Those of one call, collected in order until they are taken; partials and finals are numbered here."""

    def __init__(self) -> None:
        self.seq = 0
        """of the last partial or final"""
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
