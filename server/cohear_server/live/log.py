"""The lasting events of a stream, kept for a client that comes back after a lost connection."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ..core.commands import Claim
from ..core.events import Done, Event, Failed, Final, Finalized, Lost
from ..errors import ClientError
from .timing import JobTrace

LASTING = (Final, Lost, Finalized, Failed, Done)
"""events that are sent again after a lost connection; all others matter only at their moment"""

LIMIT = 512
"""Events kept; the oldest go first. A client cannot miss more of them: it is cut off while fewer wait for it
(`outbox.LIMIT`), and what is decoded without it is bounded by what was heard (`finals.MAX_BACKLOG_S`)."""


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event on its way to a client, with the times from which its latency is computed."""

    event: Event
    at_s: float
    trace: JobTrace | None = None
    origin_s: float = 0.0


class EventLog:
    def __init__(self) -> None:
        self._kept: deque[Emitted] = deque(maxlen=LIMIT)
        self._forgotten = 0

    def add(self, emitted: Emitted) -> None:
        """Keep the event if it is a lasting one."""
        if isinstance(emitted.event, LASTING):
            self._forgotten += len(self._kept) == LIMIT
            self._kept.append(emitted)

    def missed(self, claim: Claim) -> list[Emitted]:
        """The events that the client missed, in order: those after the number that it counted, or, if it does not
        count, all after its last final. Raises ClientError(`unknown_session`) if some of them are no longer kept."""
        kept = list(self._kept)
        if claim.lasting is None:
            had = (i for i, e in enumerate(kept) if isinstance(e.event, Final) and e.event.seq <= claim.last_seq)
            return kept[max(had, default=-1) + 1 :]
        first = claim.lasting - self._forgotten
        if not 0 <= first <= len(kept):
            remedy = "start a new session, and send the audio after the last final again"
            raise ClientError("unknown_session", "this server does not hold all events that were missed", remedy)
        return kept[first:]
