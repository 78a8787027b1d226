"""The results of a run over files: takes its events, writes outputs, prints texts and faults, and sums up."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cohear_client.errors import ClientError, CohearError
from cohear_client.fileevents import Advanced, Event, Finished, Started
from cohear_client.subtitles import SubtitleOptions
from cohear_client.transcript import Transcript

from .outputs import txt, write_all, write_atomically
from .progress import Progress
from .stdio import say

COLOURS = (196, 202, 208, 214, 220, 226, 190, 154, 118, 82, 46)
"""of the terminal, from improbable (red) to certain (green)"""


@dataclass(frozen=True, slots=True)
class OutputOptions:
    formats: tuple[str, ...]
    """none: texts are printed"""
    subtitles: SubtitleOptions
    colours: bool = False
    """printed words have the colour of their probability"""
    quiet: bool = False
    as_lines: bool = False
    """stdout is for JSON lines: no text goes there"""


class Ledger:
    def __init__(self, options: OutputOptions, progress: Progress, order: Sequence[Path]) -> None:
        """Texts are printed in `order`; files that are not in it, as they come."""
        self.rows: list[dict[str, Any]] = []
        self._options = options
        self._progress = progress
        self._waiting = deque(order)
        self._several = len(order) != 1
        self._held: dict[Path, Finished] = {}
        self._known = set(order)
        self._begun_s = time.monotonic()

    def hear(self, event: Event, targets: Mapping[Path, Path]) -> None:
        """`targets`: where outputs of each file go, without suffix."""
        match event:
            case Started():
                self._progress.start(event.path, event.duration_s)
            case Advanced():
                self._progress.advance(event.path, event.audio_s)
            case Finished():
                self._finish(event, targets)

    def skip(self, path: Path) -> None:
        """Its outputs are there already."""
        self._record(path, "skipped", 0.0)
        self._known.discard(path)
        if path in self._waiting:
            self._waiting.remove(path)

    @property
    def failed(self) -> int:
        return sum(row["status"] == "failed" for row in self.rows)

    @property
    def warned(self) -> int:
        """Files that are done, and of which something could not be read."""
        return sum("fault" in row for row in self.rows) - self.failed

    def summary(self) -> dict[str, Any]:
        took_s = time.monotonic() - self._begun_s
        fresh_s = sum(row["audio_s"] for row in self.rows if row["status"] == "done")
        return {
            "files": len(self.rows),
            "done": sum(row["status"] in ("done", "cached", "skipped") for row in self.rows),
            "failed": self.failed,
            "warned": self.warned,
            "cached": sum(row["status"] == "cached" for row in self.rows),
            "skipped": sum(row["status"] == "skipped" for row in self.rows),
            "audio_s": round(sum(row["audio_s"] for row in self.rows), 3),
            "elapsed_s": round(took_s, 3),
            "real_time_factor": round(fresh_s / took_s, 2) if took_s > 0 else 0.0,
        }

    def show_summary(self, total: int) -> None:
        """On stderr: a table on a terminal, a line elsewhere. `total`: files that were asked for."""
        found = self.summary()
        self._progress.end(found)
        if self._options.quiet or self._options.as_lines:
            return
        if not (sys.stderr.isatty() and _table(found)):
            whole = sum(row["status"] != "failed" for row in self.rows)
            line = f"{whole} of {total} files, {found['audio_s']:.1f} s of audio in {found['elapsed_s']:.1f} s"
            line += f" ({found['real_time_factor']:.1f}x real time)"
            line += f", {found['cached']} known already" if found["cached"] else ""
            line += f", {found['skipped']} skipped" if found["skipped"] else ""
            line += f", {found['warned']} with damage" if found["warned"] else ""
            say(line + (f", {found['failed']} failed" if found["failed"] else ""))

    def write_report(self, path: Path) -> None:
        """Raises ClientError(`cannot_write`)."""
        report = {"summary": self.summary(), "files": self.rows}
        write_atomically(path, json.dumps(report, ensure_ascii=False, indent=1) + "\n")

    def _finish(self, event: Finished, targets: Mapping[Path, Path]) -> None:
        written: list[Path] = []
        if event.transcript is not None and self._options.formats:
            try:
                written = write_all(
                    event.transcript, self._options.formats, targets[event.path], self._options.subtitles
                )
            except ClientError as unwritten:
                event = Finished(event.path, None, unwritten, event.audio_s)
        status = "failed" if event.transcript is None else "cached" if event.cached else "done"
        row = self._record(event.path, status, event.audio_s, event.fault)
        row["outputs"] = [str(path) for path in written]
        if event.transcript is not None:
            row |= {"language": event.transcript.language, "segments": len(event.transcript.segments)}
        self._progress.finish(event.path, row)
        if event.path not in self._known:
            self._tell(event)
            return
        self._held[event.path] = event
        while self._waiting and self._waiting[0] in self._held:
            self._tell(self._held.pop(self._waiting.popleft()))

    def _record(self, path: Path, status: str, audio_s: float, fault: CohearError | None = None) -> dict[str, Any]:
        row: dict[str, Any] = {"file": str(path), "status": status, "audio_s": round(audio_s, 3)}
        if fault is not None:
            row["fault"] = {"code": fault.code, "message": fault.message, "remedy": fault.remedy}
        self.rows.append(row)
        return row

    def _tell(self, event: Finished) -> None:
        if event.transcript is not None and not self._options.formats and not self._options.as_lines:
            if self._several:
                print(f"== {one_line(event.path)}")
            text = coloured(event.transcript) if self._options.colours else txt(event.transcript)
            print(text, end="", flush=True)
        if event.transcript is not None and not event.transcript.segments:
            say(f"{one_line(event.path)}: no words were heard in {event.audio_s:.1f} s of audio")
        if event.fault is not None:
            text, name = str(event.fault), str(event.path)
            # faults of files name the file themselves
            say(one_line(text if text.startswith(name) else f"{name}: {text}"))


def one_line(text: object) -> str:
    """As it is shown: a name may hold line ends and control characters."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(text))


def coloured(transcript: Transcript) -> str:
    """One segment a line, each word in the colour of its probability."""
    lines = []
    for segment in transcript.segments:
        words = (
            f"\033[38;5;{COLOURS[min(int(word.confidence * len(COLOURS)), len(COLOURS) - 1)]}m{word.text}\033[0m"
            for word in segment.words
        )
        lines.append(" ".join(words) + "\n")
    return "".join(lines)


def _table(found: dict[str, Any]) -> bool:
    """Whether it could be shown."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ModuleNotFoundError:
        return False
    table = Table(show_edge=False)
    cells = {
        "files": str(found["files"]),
        "failed": str(found["failed"]),
        "known already": str(found["cached"] + found["skipped"]),
        "hours": f"{found['audio_s'] / 3600:.2f}",
        "took": f"{found['elapsed_s']:.1f} s",
        "speed": f"{found['real_time_factor']:.1f}x real time",
    }
    for name in cells:
        table.add_column(name, justify="right")
    table.add_row(*cells.values())
    Console(stderr=True).print(table)
    return True
