"""How near the scheduler's own tuning comes to the best by hand, on several machines, in simulated time.

    python bench/simulate.py --speech DIR [--machines gpu ...] [--out bench/results/simulate.json]
    python bench/simulate.py --speech DIR --machines gpu --streams 20 40 80

For each machine (`simulated.MACHINES`) the most streams at the promise are searched, as capacity.py counts them: once
with what the scheduler finds from the costs, and once with the best of the settings in `grid`. With `--streams` it only
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
from simulated import MACHINES, Machine, Run, Speakers, outcome
from speech import circumstances, write_result
from voice import read_spoken

PRECISION = 0.02
MOST = 400
SEARCHED = 3
"""settings by hand, the best where our own tuning ends"""
NEAR = 0.95
"""of the best by hand is to be reached"""
SIZES = ((2, 2), (4, 4), (8, 1), (8, 8), (16, 16), (32, 32), (64, 64))
"""of batches, and how many partials are waited for"""
SLACKS_S, URGENTS_S = (0.1, 0.25), (0.06, 0.12, 0.25)


def grid(machine: Machine) -> Iterator[Tuning]:
    """What is tried by hand; no batches of sizes that the machine is not told for."""
    most = max(machine.batch_s)
    sizes = [size for size in SIZES if most / 8 <= size[0] <= most]
    for (batch, few), slack_s, urgent_s in itertools.product(sizes, SLACKS_S, URGENTS_S):
        yield Tuning(batch, few, slack_s, urgent_s, longest_s=9.0)


def most_streams(machine: Machine, speakers: Speakers, by_hand: Tuning | None = None, first: int = 16) -> int:
    """The largest number at the promise: by doubling or halving from the first, then bisection."""
    low, high, streams = 0, MOST, first
    while low < streams < high and high - low > max(1, PRECISION * low):
        if outcome(machine, speakers, streams, by_hand).kept:
            low = streams
            streams = min(2 * low, MOST - 1) if high == MOST else (low + high) // 2
        else:
            high = streams
            streams = high // 2 if low == 0 else (low + high) // 2
    return low


def compared(machine: Machine, speakers: Speakers) -> dict[str, Any]:
    """The scheduler's own tuning against the best by hand. Where the own ends all of the grid are tried, and of the
    few with the least strain it is searched how many streams they carry."""
    own = most_streams(machine, speakers)
    tried = sorted(grid(machine), key=lambda tuning: outcome(machine, speakers, max(1, own), tuning).strain)
    rows = [(most_streams(machine, speakers, tuning, max(1, own)), tuning) for tuning in tried[:SEARCHED]]
    best, tuning = max(rows, key=lambda row: row[0])
    run = Run(machine, speakers, max(1, own))
    run.run()
    return {
        "machine": asdict(machine),
        "streams": own,
        "tuning": asdict(run.scheduler.tuning),
        "at_that": asdict(outcome(machine, speakers, max(1, own))),
        "best_by_hand": {"streams": best, **asdict(tuning)},
        "share_of_best": round(own / best, 3) if best else None,
        "tried": len(tried),
        "searched": [{"streams": streams, **asdict(tuning)} for streams, tuning in rows],
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
        found = outcome(MACHINES[name], speakers, streams)
        print(f"{name}, {streams} streams: {found}, {'kept' if found.kept else 'BROKEN'}", flush=True)
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
