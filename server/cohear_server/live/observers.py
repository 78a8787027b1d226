"""Several observers as one. What one of them raises is logged and counted; neither a stream nor another observer
notices."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ..core.events import Decoded, Event
from ..core.jobs import DecodeJob, DecodeResult
from ..core.ledger import SampleCount
from ..core.session import Session
from .observer import Observer, StreamObserver
from .timing import JobTrace

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger(__name__)


class Observers:
    """Hears of the whole service."""

    def __init__(self) -> None:
        self.faults = 0
        """calls of an observer that raised"""
        self._all: list[Observer] = []

    def add(self, observer: Observer) -> None:
        """It hears of streams that are opened from here on, and of batches."""
        self._all.append(observer)

    def remove(self, observer: Observer) -> None:
        """It hears no more of batches; of its streams until they end."""
        self._all.remove(observer)

    def __iter__(self) -> Iterator[Observer]:
        return iter(self._all)

    def opened(self, session: Session) -> StreamObserver:
        return _StreamObservers(self, self.told(self._all, lambda one: one.opened(session)))

    def refused(self, code: str) -> None:
        self.told(self._all, lambda one: one.refused(code))

    def decoded(self, batch: Sequence[DecodeJob], results: Sequence[DecodeResult], busy_s: float) -> None:
        self.told(self._all, lambda one: one.decoded(batch, results, busy_s))

    def told(self, whom: Sequence[T], call: Callable[[T], R]) -> list[R]:
        """What those answered that did not fail."""
        answers: list[R] = []
        for one in whom:
            try:
                answers.append(call(one))
            except Exception:  # a boundary: whoever only watches must not harm what it watches
                self.faults += 1
                logger.exception("observer %s failed", type(one).__name__)
        return answers


class _StreamObservers:
    """Hears of one stream."""

    def __init__(self, service: Observers, all_: Sequence[StreamObserver]) -> None:
        self._told = service.told
        self._all = all_

    def emitted(self, event: Event, now_s: float, trace: JobTrace | None, origin_s: float) -> None:
        self._told(self._all, lambda one: one.emitted(event, now_s, trace, origin_s))

    def sent(self, event: Decoded, waited_s: float) -> None:
        self._told(self._all, lambda one: one.sent(event, waited_s))

    def replaced(self) -> None:
        self._told(self._all, lambda one: one.replaced())

    def resumed(self) -> None:
        self._told(self._all, lambda one: one.resumed())

    def ended(self, samples: SampleCount) -> None:
        self._told(self._all, lambda one: one.ended(samples))
