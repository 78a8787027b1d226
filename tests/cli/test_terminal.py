from __future__ import annotations

import io

from cohear_cli.report import LatencyReport
from cohear_cli.terminal import TerminalView
from cohear_client.protocol import (
    Error,
    Final,
    Partial,
    Ready,
    ServerMessage,
    SpeechStarted,
    Timing,
    Warning,
    Word,
)
from rich.console import Console

YELLOW, RED, DIM = "\x1b[33m", "\x1b[31m", "\x1b[2m"


def shown(*events: ServerMessage) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system="standard", legacy_windows=False)
    report = LatencyReport(1.0)
    with TerminalView(lambda: 0.0, console) as view:
        for event in events:
            report.add(event, view.show(event))
            view._live.refresh()
        view.end(report)
    return out.getvalue()


def final(text: str, *words: Word) -> Final:
    return Final(1, 0, text, 0.9, "en", 61.0, 62.0, "endpoint", "m", Timing(), words)


def test_volatile_text_is_dim() -> None:
    text = shown(SpeechStarted(0), Partial(1, 0, 0, "the birch", "canoe slid", 0.5, 1, Timing()))
    assert "the birch" in text
    assert f"{DIM}canoe slid" in text


def test_words_of_finals_are_coloured_by_confidence() -> None:
    text = shown(final("a b c", Word("sure", 0, 1, 0.95), Word("maybe", 1, 2, 0.6), Word("wrong", 2, 3, 0.1)))
    assert "01:01" in text
    assert f"{YELLOW}maybe" in text
    assert f"{RED}wrong" in text


def test_everything_else_is_told_and_the_table_comes_last() -> None:
    text = shown(
        Ready("s", "t", "tiny.en"),
        final("no [bold]words[/bold]"),
        Warning("degraded", "slower partials"),
        Error("x", "one segment failed", "say it again", fatal=False),
    )
    for piece in ("tiny.en", "legend", "[bold]words[/bold]", "slower partials", "failed: say it again"):
        assert piece in text
    assert text.index("slower partials") < text.index("in the service: final")
