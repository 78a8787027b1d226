"""The progress of a run over files: bars on a terminal (with rich), one JSON object a line for scripts, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from cohear_client.protocol import Done, Final, ServerMessage, Stats

from .stdio import print_json

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

Style = Literal["bars", "lines", "none"]


class Progress(Protocol):
    """Where progress is shown. Seconds are of audio."""

    def start(self, path: Path, duration_s: float | None) -> None: ...

    def advance(self, path: Path, audio_s: float) -> None: ...

    def finish(self, path: Path, row: dict[str, Any]) -> None: ...

    def end(self, summary: dict[str, Any]) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None: ...


class NoProgress:
    """Shows nothing."""

    def start(self, path: Path, duration_s: float | None) -> None:
        """A file is begun."""

    def advance(self, path: Path, audio_s: float) -> None:
        """So much more of it is settled."""

    def finish(self, path: Path, row: dict[str, Any]) -> None:
        """It is done; `row` is what the report says of it."""

    def end(self, summary: dict[str, Any]) -> None:
        """All are done."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None: ...


class Lines(NoProgress):
    """One JSON object a line on stdout: `event` is started, advanced, finished or summary."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun_s = clock()

    def start(self, path: Path, duration_s: float | None) -> None:
        self._print("started", file=str(path), duration_s=duration_s)

    def advance(self, path: Path, audio_s: float) -> None:
        self._print("advanced", file=str(path), audio_s=round(audio_s, 3))

    def finish(self, path: Path, row: dict[str, Any]) -> None:
        self._print("finished", **row)

    def end(self, summary: dict[str, Any]) -> None:
        self._print("summary", **summary)

    def _print(self, event: str, **fields: Any) -> None:
        at_s = round(self._clock() - self._begun_s, 3)
        print_json({"event": event, "at_s": at_s, **fields})


class Bars(NoProgress):
    """A bar a file in work, and one for all, with the real-time factor and the time left, on stderr."""

    def __init__(self, progress: RichProgress, files: int) -> None:
        self._progress = progress
        self._files = files
        self._whole = progress.add_task("all files", total=None, rate="")
        self._tasks: dict[Path, Any] = {}
        self._lengths: dict[Path, float] = {}
        self._settled_s = self._ended_s = 0.0
        self._ended = 0
        self._begun_s = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._progress.__exit__(kind, fault, at)

    def start(self, path: Path, duration_s: float | None) -> None:
        self._tasks[path] = self._progress.add_task(path.name, total=duration_s, rate="")
        self._lengths[path] = duration_s or 0.0
        self._show()

    def advance(self, path: Path, audio_s: float) -> None:
        self._settled_s += audio_s
        if path in self._tasks:
            self._progress.update(self._tasks[path], advance=audio_s)
        self._show()

    def finish(self, path: Path, row: dict[str, Any]) -> None:
        self._ended += 1
        self._ended_s += row["audio_s"]
        self._lengths.pop(path, None)
        if path in self._tasks:
            self._progress.remove_task(self._tasks.pop(path))
        self._show()

    def _show(self) -> None:
        """The whole is the length of the files begun, and as much again for those to come as the others have."""
        known = self._ended + len(self._lengths)
        known_s = self._ended_s + sum(self._lengths.values())
        total_s = known_s * self._files / known if known else None
        rate = self._settled_s / max(time.monotonic() - self._begun_s, 1e-3)
        text = f"{rate:.1f}x real time, {self._ended} of {self._files}"
        self._progress.update(self._whole, total=total_s, completed=self._settled_s, rate=text)


def open_progress(style: Style, files: int) -> Progress:
    """`bars` show only where stderr is a terminal and rich is installed."""
    if style == "lines":
        return Lines()
    if style == "none" or not sys.stderr.isatty():
        return NoProgress()
    try:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress
    except ModuleNotFoundError:  # an extra
        return NoProgress()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[rate]}"),
    )
    # text printed meanwhile goes above the bars on a terminal, and untouched into a file or pipe
    above = sys.stdout.isatty()
    return Bars(RichProgress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=above), files)


def settled_s(event: ServerMessage, rate_hz: int) -> float | None:
    """How much audio an event of a stream says is settled; None when it says nothing of that."""
    match event:
        case Final():
            return event.end_s
        case Stats() | Done():
            return (event.samples.transcribed + event.samples.silent) / rate_hz
    return None
