"""What streams do, in the log (`--log-level debug`): when each begins and ends, and how each event came.

An observer of the service. Of text and audio it logs lengths only; what was said is not in it.
"""

from __future__ import annotations

import logging

from ..core.events import Closing, Event, Failed, Final, Lost, Notice, SpeechEnded, SpeechStarted
from ..core.jobs import SAMPLE_RATE_HZ
from ..core.ledger import SampleCount
from ..core.session import Session
from ..live.observer import StreamObserver, Unobserved
from ..live.timing import JobTrace

logger = logging.getLogger(__name__)


class Journal(Unobserved):
    """One for the service."""

    def opened(self, session: Session) -> StreamObserver:
        form = session.format
        logger.debug(
            "stream %s: opened by %s, %s at %d Hz, %d channels",
            session.id,
            session.options.tenant,
            form.encoding,
            form.sample_rate_hz,
            form.channels,
        )
        return _Entries(session.id)

    def refused(self, code: str) -> None:
        logger.debug("a stream was refused: %s", code)


class _Entries(Unobserved):
    """Of one stream."""

    def __init__(self, session_id: str) -> None:
        self._id = session_id

    def emitted(self, event: Event, now_s: float, trace: JobTrace | None, origin_s: float) -> None:
        if isinstance(event, Final):
            logger.debug("stream %s: %s, %.0f ms after its audio", self._id, _final(event), (now_s - origin_s) * 1000)
        elif (what := _what(event)) is not None:
            logger.debug("stream %s: %s", self._id, what)

    def resumed(self) -> None:
        logger.debug("stream %s: its client is back", self._id)

    def ended(self, samples: SampleCount) -> None:
        logger.debug("stream %s: ended, %s", self._id, samples)


def _what(event: Event) -> str | None:
    """None for what comes too often."""
    match event:
        case SpeechStarted() | SpeechEnded():
            name = "speech began" if isinstance(event, SpeechStarted) else "speech ended"
            return f"{name} at {event.at / SAMPLE_RATE_HZ:.2f} s"
        case Lost() | Failed():
            return f"fault {event.fault.code}"
        case Notice():
            return f"notice {event.code}"
        case Closing():
            return f"closing, {event.reason}"
    return None


def _final(event: Final) -> str:
    span = f"{event.start / SAMPLE_RATE_HZ:.2f} to {event.end / SAMPLE_RATE_HZ:.2f} s"
    rules = f", {' '.join(event.rules)}" if event.rules else ""
    return f"final of {span} by {event.reason}, {len(event.text)} characters{rules}"
