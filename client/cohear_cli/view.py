"""How a live stream is shown: JSON lines, plain lines, or a live terminal.

A view only shows. Finals go to stdout, remarks (warnings, the table) to stderr, so that output can
be piped; the live terminal needs rich and is used only when stdout is a terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from cohear_client.messages import plain
from cohear_client.protocol import Done, Error, Final, ServerMessage, Warning

from .report import LatencyReport
from .stdio import print_json, say

Now = Callable[[], float]


class View(Protocol):
    """A context that shows events."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def show(self, event: ServerMessage) -> float:
        """Show an event; returns when it came, in seconds since the view was opened."""
        ...

    def end(self, report: LatencyReport) -> None:
        """The stream is over."""
        ...


class PlainView:
    """Finals, one a line."""

    def __init__(self, now: Now = time.monotonic) -> None:
        self._now = now
        self._start_s = now()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        sys.stdout.flush()

    def show(self, event: ServerMessage) -> float:
        received_s = self._now() - self._start_s
        match event:
            case Final() if event.text.strip():
                print(event.text.strip(), flush=True)
            case Warning() | Error():
                say(f"cohear: {remark(event)}")
            case Done() if event.samples.shed:
                say(f"cohear: {event.samples.shed} samples were shed, the text has gaps")
        return received_s

    def end(self, report: LatencyReport) -> None:
        """Nothing more to say."""


class JsonView(PlainView):
    """Every event as one line of JSON, in the form of the wire, with `received_s` added."""

    def show(self, event: ServerMessage) -> float:
        received_s = self._now() - self._start_s
        line = {**plain(event), "received_s": round(received_s, 4)}
        print_json(line)
        return received_s


def remark(event: Warning | Error) -> str:
    """One line for a warning or an error that is not fatal, with the place in the audio that it is about."""
    remedy = event.remedy if isinstance(event, Error) else ""
    told = f"{event.message}: {remedy}" if remedy else event.message
    return told if event.start_s is None else f"{event.start_s:.1f} s to {event.end_s:.1f} s: {told}"
