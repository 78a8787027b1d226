"""Several observers as one. An exception of one of them is logged and counted; it reaches neither a stream nor another
observer."""

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
    """Observes the whole service for all of them."""

    def __init__(self) -> None:
        self.faults = 0
        """calls of an observer that raised"""
        self._all: list[Observer] = []

    def add(self, observer: Observer) -> None:
        """From now on it observes batches, and streams that open later."""
        self._all.append(observer)

    def remove(self, observer: Observer) -> None:
        """It observes no more batches; its streams it observes until they end."""
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
        """Call each; returns the answers of those that did not fail."""
        answers: list[R] = []
        for one in whom:
            try:
                answers.append(call(one))
            except Exception:  # a boundary: an observer must not harm what it observes
                self.faults += 1
                logger.exception("observer %s failed", type(one).__name__)
        return answers


class _StreamObservers:
    """Observes one stream for all of them."""

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
