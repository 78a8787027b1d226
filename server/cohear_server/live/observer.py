"""What the service tells of itself as it works: the seam to whoever counts (`ops.metrics`). Nothing is counted here.

Calls come from the event loop, between the work of streams: they return at once and never raise. An observer changes
nothing; without one, `UNOBSERVED` takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..core.events import Decoded, Event
from ..core.jobs import DecodeJob, DecodeResult
from ..core.ledger import SampleCount
from ..core.session import Session
from .timing import JobTrace


class StreamObserver(Protocol):
    """Hears of one stream, from its admission to its end."""

    def emitted(self, event: Event, now_s: float, trace: JobTrace | None, origin_s: float) -> None:
        """An event is on its way to the client. One that is sent again after a lost connection is not told again."""
        ...

    def sent(self, event: Decoded, waited_s: float) -> None:
        """A decoded event went to the socket, `waited_s` after it was emitted; not told of what is sent again."""
        ...

    def replaced(self) -> None:
        """A partial was replaced by newer text before the client's socket took it."""
        ...

    def resumed(self) -> None:
        """Its client came back after a lost connection."""
        ...

    def ended(self, samples: SampleCount) -> None:
        """The stream is over; what became of its samples."""
        ...


class Observer(Protocol):
    """Hears of the whole service."""

    def opened(self, session: Session) -> StreamObserver:
        """A stream was admitted."""
        ...

    def refused(self, code: str) -> None:
        """A caller was turned away, with the code of the error that it was told."""
        ...

    def decoded(self, batch: Sequence[DecodeJob], results: Sequence[DecodeResult], busy_s: float) -> None:
        """A batch came out of the engine, where it occupied a slot for `busy_s`."""
        ...


class Unobserved:
    """Nobody counts."""

    def emitted(self, event: Event, now_s: float, trace: JobTrace | None, origin_s: float) -> None: ...
    def sent(self, event: Decoded, waited_s: float) -> None: ...
    def replaced(self) -> None: ...
    def resumed(self) -> None: ...
    def ended(self, samples: SampleCount) -> None: ...
    def opened(self, session: Session) -> StreamObserver:
        return self

    def refused(self, code: str) -> None: ...
    def decoded(self, batch: Sequence[DecodeJob], results: Sequence[DecodeResult], busy_s: float) -> None: ...


UNOBSERVED = Unobserved()
