"""How near the scheduler's own tuning comes to the best by hand, on several machines, in simulated time.

    python bench/simulate.py --speech DIR [--machines gpu ...] [--out bench/results/simulate.json]
    python bench/simulate.py --speech DIR --machines gpu --streams 20 40 80

For each machine (`simulated.MACHINES`) the most streams at the promise are searched, as capacity.py counts them: once
with what the scheduler finds from the costs, and once with each of the settings in `grid`. With `--streams` it only
tells how so many streams fare. A run takes a second and is the same each time, whatever else this machine does: made to
compare policies before they are measured with capacity.py.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cohear_server.scheduling.tuning import Tuning
from simulated import MACHINES, Machine, Run, Speakers
from speech import circumstances, write_result
from voice import read_spoken

PRECISION = 0.02
NEAR = 0.95
"""of the best by hand is to be reached"""
SIZES = ((2, 2), (4, 1), (4, 4), (8, 1), (8, 8), (16, 4), (16, 16), (32, 8), (64, 1), (64, 32))
"""of batches, and how many partials are waited for"""
SLACKS_S, URGENTS_S = (0.1, 0.25), (0.06, 0.12, 0.25)


def grid(machine: Machine) -> Iterator[Tuning]:
    """What is tried by hand; no batches of sizes that the machine is not told for."""
    sizes = [size for size in SIZES if size[0] <= max(machine.batch_s)]
    for (batch, few), slack_s, urgent_s in itertools.product(sizes, SLACKS_S, URGENTS_S):
        yield Tuning(batch, few, slack_s, urgent_s, longest_s=9.0)


def most_streams(machine: Machine, speakers: Speakers, by_hand: Tuning | None = None, most: int = 400) -> int:
    """The largest number at the promise: doubling, then bisection."""
    low, high, streams = 0, most, 16
    while low < streams < high and high - low > max(1, PRECISION * low):
        run = Run(machine, speakers, streams, by_hand)
        run.run()
        if run.keeps():
            low = streams
        else:
            high = streams
        streams = min(2 * low, most - 1) if high == most else (low + high) // 2
    return low


def compared(machine: Machine, speakers: Speakers) -> dict[str, Any]:
    """The scheduler's own tuning against the best by hand."""
    own = most_streams(machine, speakers)
    run = Run(machine, speakers, max(1, own))
    run.run()
    rows = [(most_streams(machine, speakers, tuning), tuning) for tuning in grid(machine)]
    best, tuning = max(rows, key=lambda row: row[0])
    return {
        "machine": asdict(machine),
        "streams": own,
        "tuning": asdict(run.scheduler.tuning),
        "at_that": run.figures(),
        "best_by_hand": {"streams": best, **asdict(tuning)},
        "share_of_best": round(own / best, 3) if best else None,
        "by_hand": [{"streams": streams, **asdict(tuning)} for streams, tuning in rows],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--speech", type=Path, required=True, metavar="DIR", help="folder with a manifest.jsonl")
    parser.add_argument("--machines", nargs="+", choices=list(MACHINES), default=list(MACHINES))
    parser.add_argument("--streams", type=int, nargs="+", default=[], help="only tell how so many fare")
    parser.add_argument("--out", type=Path, help="result file, such as bench/results/simulate.json")
    args = parser.parse_args()
    speakers = Speakers(read_spoken(args.speech, 40, "en"))
    for name, streams in itertools.product(args.machines, args.streams):
        run = Run(MACHINES[name], speakers, streams)
        run.run()
        print(f"{name}, {streams} streams: {run.figures()}, {'kept' if run.keeps() else 'BROKEN'}", flush=True)
    if args.streams:
        return 0
    rows: dict[str, Any] = {}
    for name in args.machines:
        rows[name] = compared(MACHINES[name], speakers)
        shown = {key: rows[name][key] for key in ("streams", "tuning", "best_by_hand", "share_of_best")}
        print(f"{name}: {shown}", flush=True)
        if args.out:  # after each: one takes minutes
            write_result(args.out, {"benchmark": "simulate", **circumstances(), "machines": rows})
    return 0 if all(row["streams"] >= NEAR * row["best_by_hand"]["streams"] for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
