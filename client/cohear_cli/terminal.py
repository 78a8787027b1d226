"""The live terminal view: finished segments scroll up, the one being spoken is redrawn below them.

Stable text is plain, volatile text dim, words of finals coloured by confidence. Needs rich.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from cohear_client.protocol import Error, Final, Partial, Ready, ServerMessage, SpeechStarted, Warning
from cohear_client.writing import lead
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .report import LatencyReport
from .view import Now, remark

SURE, DOUBTFUL = 0.8, 0.5
"""Confidence at or above SURE is plain, below DOUBTFUL red, between them yellow."""


class TerminalView:
    """Draws on a console; `now` and `console` are for tests."""

    def __init__(self, now: Now = time.monotonic, console: Console | None = None) -> None:
        self._now = now
        self._start_s = now()
        self._live = Live(Text(), console=console or Console(), refresh_per_second=12, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def show(self, event: ServerMessage) -> float:
        received_s = self._now() - self._start_s
        match event:
            case Ready():
                self._print(Text(f"{event.model}   ").append_text(_legend()))
            case SpeechStarted():
                self._live.update(Text("...", style="dim"))
            case Partial():
                self._live.update(_partial(event))
            case Final():
                self._live.update(Text(), refresh=True)
                if event.text.strip():
                    self._print(_final(event))
            case Warning() | Error():
                self._print(Text(remark(event), style="yellow"))
        return received_s

    def end(self, report: LatencyReport) -> None:
        self._live.update(Text())
        rows = report.rows()
        if not rows:
            return
        table = Table(title="latency", title_justify="left", show_header=False, box=None)
        for row in rows:
            table.add_row(Text(row.name, style="dim"), row.value)
        self._live.console.print(table)

    def _print(self, text: Text) -> None:
        self._live.console.print(text)


def _partial(event: Partial) -> Text:
    text = Text(event.stable.strip())
    volatile = event.volatile.strip()
    if text.plain and volatile:
        text.append(" ")
    return text.append(volatile, style="dim")


def _final(event: Final) -> Text:
    text = Text(f"{_clock(event.start_s)} ", style="dim")
    if not event.words:
        return text.append(event.text.strip(), style="not dim " + _style(event.confidence))
    for number, word in enumerate(event.words):
        text.append(lead(word.text, event.language) if number else "")
        text.append(word.text.strip(), style="not dim " + _style(word.confidence))
    return text


def _style(confidence: float) -> str:
    if confidence >= SURE:
        return ""
    return "yellow" if confidence >= DOUBTFUL else "red"


def _legend() -> Text:
    legend = Text("legend: stable ").append("may still change", style="dim")
    legend.append(f" | confidence under {SURE:.0%}", style="yellow").append(f" under {DOUBTFUL:.0%}", style="red")
    return legend


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02}:{rest:02}"
