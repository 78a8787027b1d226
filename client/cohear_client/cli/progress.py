"""How far a run over files has come: bars on a terminal (with rich), else nothing; and a summary line."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from ..protocol import Done, Final, ServerMessage, Stats

if TYPE_CHECKING:
    from rich.progress import Progress

Advance: TypeAlias = Callable[[float], None]
"""Told how many seconds of one file's audio are settled."""


class Bars:
    """A bar a file while it is worked on, and one for all. `None` draws nothing."""

    def __init__(self, progress: Progress | None, total_s: float) -> None:
        self._progress = progress
        self._whole = progress.add_task("all files", total=total_s or None, rate="") if progress else None
        self._settled_s = 0.0
        self._started_s = time.monotonic()

    @contextlib.contextmanager
    def file(self, name: str, duration_s: float | None) -> Iterator[Advance]:
        """Open a file's bar."""
        if self._progress is None or self._whole is None:
            yield lambda settled_s: None
            return
        progress, whole = self._progress, self._whole
        task = progress.add_task(name, total=duration_s, rate="")
        before_s = 0.0

        def advance(settled_s: float) -> None:
            nonlocal before_s
            self._settled_s += max(settled_s - before_s, 0.0)
            before_s = max(settled_s, before_s)
            progress.update(task, completed=before_s)
            progress.update(whole, completed=self._settled_s, rate=self._rate())

        try:
            yield advance
        finally:
            progress.remove_task(task)

    def _rate(self) -> str:
        return f"{self._settled_s / max(time.monotonic() - self._started_s, 1e-3):.1f}x real time"


@contextlib.contextmanager
def open_bars(*, quiet: bool, total_s: float) -> Iterator[Bars]:
    """Bars on stderr where that is a terminal and rich is installed."""
    if quiet or not sys.stderr.isatty():
        yield Bars(None, total_s)
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    except ModuleNotFoundError:  # an extra
        yield Bars(None, total_s)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[rate]}"),
    )
    # text printed meanwhile goes above the bars on a terminal, and untouched into a file or pipe
    above = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=above) as progress:
        yield Bars(progress, total_s)


def settled_s(event: ServerMessage, rate_hz: int) -> float | None:
    """How much audio an event says is settled; None when it says nothing of that."""
    match event:
        case Final():
            return event.end_s
        case Stats() | Done():
            return (event.samples.transcribed + event.samples.silent) / rate_hz
    return None
