"""Writes the tables of docs/peers.md, between two marks; the rest of the page does not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from marks import fill_in, measured_on

from .promise import PROMISES
from .rivals import RIVALS


def write_tables(result: dict[str, Any], page: Path) -> None:
    """Replace the text between the marks. Raises SystemExit when the page has none."""
    fill_in(page, "bench/peers/run.py", tables(result))


def tables(result: dict[str, Any]) -> str:
    parts = [
        f"{measured_on(result)}; {result['model']} int8.",
        "### Streams carried",
        _carried(result),
        "### Every run",
        _rows(result),
        "### What was run",
        _servers(result),
    ]
    return "\n\n".join(parts) + "\n"


def _carried(result: dict[str, Any]) -> str:
    promises = result["promises"]
    names = [name for name in RIVALS if name in promises["strict"]["streams"]]
    header = ["server", *(promise.title for promise in PROMISES)]
    body = [[RIVALS[name].title, *(promises[p.name]["streams"][name] for p in PROMISES)] for name in names]
    ratios = [promises[p.name]["ratio_to_best_rival"] for p in PROMISES]
    shown = ["no rival carries one" if ratio is None else f"**{ratio:g} x**" for ratio in ratios]
    body.append(["**Cohear to the best rival**", *shown])
    return _table(header, body)


def _rows(result: dict[str, Any]) -> str:
    header = ["server", "streams", "measured, s", "final p50 / p95, ms", "text behind p50 / p95, ms"]
    header += ["first text p50, ms", "word error, %", "words lost, %", "cores a stream", "memory, MB", "keeps"]
    body: list[list[object]] = []
    order = list(RIVALS)
    for row in sorted(result["rows"], key=lambda row: (order.index(row["name"]), row["streams"])):
        rival = RIVALS[row["name"]]
        if "failed" in row:
            body.append([rival.title, row["streams"], "-", f"failed: {row['failed'][:80]}", *[""] * 7])
            continue
        ms, server = row["ms"], row["server"]
        kept = [promise.name for promise in PROMISES if not row["broken"][promise.name]]
        body.append(
            [
                rival.title + (" (disturbed)" if row["disturbed"] else ""),
                row["streams"],
                f"{row['steady_s']:g}",
                *(_marks(ms[name]) for name in (rival.judged, "lag")),
                f"{ms['first_text']['p50']:.0f}" if ms["first_text"]["count"] else "-",
                row["word_error"]["wer_percent"] if row["word_error"] else "-",
                row["lost_words_percent"],
                f"{server['cores_per_stream']:.3f}",
                f"{server['rss_mb']:.0f}",
                ", ".join(kept) or "nothing",
            ]
        )
    return _table(header, body)


def _servers(result: dict[str, Any]) -> str:
    names = {row["name"] for row in result["rows"]}
    body = [[r.title, r.version, r.settings, r.final] for r in RIVALS.values() if r.name in names]
    return _table(["server", "version", "settings", "what counts as its final"], body)


def _marks(row: dict[str, Any]) -> str:
    return f"{row['p50']:.0f} / {row['p95']:.0f}" if row["count"] else "-"


def _table(header: list[str], body: list[list[Any]]) -> str:
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
