"""Which promise a run kept, and how many streams a server carries according to its rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .rivals import Rival

LOST_PERCENT = 10.0
"""more words missing in a row mean dropped audio; a model itself leaves out a sentence now and then"""


@dataclass(frozen=True, slots=True)
class Promise:
    """p95 bounds."""

    name: str
    title: str
    final_over_endpoint_ms: float
    lag_ms: float | None
    """None: the promise does not include partials"""


PROMISES = (
    Promise("strict", "final within 0.3 s of the endpoint, text 1 s behind", 300.0, 1_000.0),
    Promise("within_1s", "final within 1 s, text 3 s behind", 1_000.0, 3_000.0),
    Promise("within_2s", "final within 2 s, text 3 s behind", 2_000.0, 3_000.0),
    Promise("finals_within_2s", "final within 2 s, partials not asked for", 2_000.0, None),
)


def broken(row: dict[str, Any], rival: Rival, promise: Promise) -> list[str]:
    """Each part of the promise that the row breaks; empty if it is kept."""
    if "failed" in row:
        return [row["failed"]]
    ms = row["ms"]
    bounds = {rival.judged: rival.endpoint_ms + promise.final_over_endpoint_ms}
    if promise.lag_ms is not None:
        bounds["lag"] = promise.lag_ms
    found = []
    for name, limit_ms in bounds.items():
        if not ms[name]["count"]:
            found.append(f"no {name} was measured")
        elif ms[name]["p95"] > limit_ms:
            found.append(f"{name} p95 {ms[name]['p95']:.0f} ms > {limit_ms:.0f} ms")
    lost = row["lost_words_percent"]
    if lost is None or lost > LOST_PERCENT:
        found.append(f"words lost: {lost} %")
    found += [f"{name}: {row[name]}" for name in ("unserved", "shed_samples") if row[name]]
    if not row["valid"]:
        found.append("the generator was late: the run says nothing")
    return found


def carried(rows: Iterable[dict[str, Any]], rival: Rival, promise: Promise) -> int:
    """The largest number of streams at which the promise was kept, if all smaller numbers kept it too. Where one number
    was measured several times, one run has to keep it."""
    kept: dict[int, bool] = {}
    for row in rows:
        if row["name"] == rival.name:
            kept[row["streams"]] = kept.get(row["streams"], False) or not broken(row, rival, promise)
    most = 0
    for streams in sorted(kept):
        if not kept[streams]:
            break
        most = streams
    return most


def ratios(rows: Sequence[dict[str, Any]], rivals: Sequence[Rival], ours: Rival) -> dict[str, dict[str, Any]]:
    """For each promise: the streams that each server carries, and ours over the best rival's (None if that is 0)."""
    found: dict[str, dict[str, Any]] = {}
    for promise in PROMISES:
        streams = {rival.name: carried(rows, rival, promise) for rival in rivals}
        others = {name: number for name, number in streams.items() if name != ours.name}
        best = max(others.values(), default=0)
        found[promise.name] = {
            "streams": streams,
            "best_rival": [name for name, number in others.items() if number == best] if best else [],
            "ratio_to_best_rival": round(streams.get(ours.name, 0) / best, 2) if best else None,
        }
    return found
