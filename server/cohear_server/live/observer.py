"""The interface of observers, to which the service reports its work (`ops.metrics` is one). Nothing is counted here.

Calls come from the event loop, between the work of streams, so they must return at once and not raise. An observer
changes nothing. Without one, `UNOBSERVED` takes its place.
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
    """Observes one stream, from its admission to its end."""

    def emitted(self, event: Event, now_s: float, trace: JobTrace | None, origin_s: float) -> None:
        """An event is on its way to the client. Not called again for events that are sent again."""
        ...

    def sent(self, event: Decoded, waited_s: float) -> None:
        """A decoded event went to the socket, `waited_s` after it was emitted. Not called for events sent again."""
        ...

    def replaced(self) -> None:
        """A partial was replaced by newer text before the client's socket took it."""
        ...

    def resumed(self) -> None:
        """Its client came back after a lost connection."""
        ...

    def ended(self, samples: SampleCount) -> None:
        """The stream is over; `samples` is the fate of its audio."""
        ...


class Observer(Protocol):
    """Observes the whole service."""

    def opened(self, session: Session) -> StreamObserver:
        """A stream was admitted."""
        ...

    def refused(self, code: str) -> None:
        """A caller was refused, with this error code."""
        ...

    def decoded(self, batch: Sequence[DecodeJob], results: Sequence[DecodeResult], busy_s: float) -> None:
        """A batch came out of the engine, where it occupied a slot for `busy_s`."""
        ...


class Unobserved:
    """An observer that does nothing."""

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
