"""The same live load for Cohear and for its rivals, one after another on this machine.

    python -m bench.peers.run --speech DIR --out bench/results/peers.json [--only NAME...]

In rounds of 1, 2, 4, 8 ... streams, each server is started anew and measured in turn. A server that keeps no promise
any more gets no larger rounds. Each row is written at once; a run that was stopped continues where it stopped. At the
end the plot and the tables of docs/peers.md are written from the rows. Environments: setup.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cohear_server.models.catalog import find_model
from cohear_server.models.sources import SourceOptions
from load import BUSY_CORES
from speech import circumstances, write_result
from voice import Spoken, read_spoken

from .drive import Material, Shape, run
from .peersplot import plot
from .promise import PROMISES, broken, carried, ratios
from .report import write_tables
from .rivals import HOME, RIVALS, Rival
from .spoken import clip_times

CLIPS = 40
LONGEST_S = 10.0
"""longest clip: a sentence or two"""
CANDIDATES = 300
SPELLED_LETTERS = 3
"""with fewer letters in a word on average, somebody spells"""
READABLE = 0.15
"""largest share of a clip's words that the model may write differently from the reference"""
Row = dict[str, Any]


def turns(rivals: Sequence[Rival], rows: Sequence[Row], most: int, refine: int) -> Iterator[tuple[Rival, int]]:
    """Which server is measured next, with how many streams. `rows` grows meanwhile; what it holds is not repeated."""
    measured = {(row["name"], row["streams"]) for row in rows}
    streams = 1
    while streams <= most:
        asked = [rival for rival in rivals if streams == 1 or _keeps_any(rival, rows, streams // 2)]
        for rival in asked:
            if (rival.name, streams) not in measured:
                yield rival, streams
        streams *= 2
    for _ in range(refine):
        for rival in rivals:
            number = _between(rival, rows)
            if number is not None:
                yield rival, number


def _keeps_any(rival: Rival, rows: Sequence[Row], streams: int) -> bool:
    reached = [row for row in rows if row["name"] == rival.name and row["streams"] == streams]
    return any(not broken(row, rival, promise) for row in reached for promise in PROMISES)


def _between(rival: Rival, rows: Sequence[Row]) -> int | None:
    """The middle between the most streams that kept the first promise and the next larger number measured."""
    kept = carried(rows, rival, PROMISES[0])
    above = sorted(row["streams"] for row in rows if row["name"] == rival.name and row["streams"] > kept)
    middle = (kept + above[0]) // 2 if kept and above else 0
    return middle if kept < middle else None


def main() -> int:
    args = _parse()
    rivals = [RIVALS[name] for name in args.only or RIVALS]
    shape = Shape(steady_s=args.steady_s, seed=args.seed)
    model = find_model(args.model, options=SourceOptions(offline=True)).directory
    result = _begin(args, shape)
    rows: list[Row] = result["rows"]
    material = read_material(args.speech, model, HOME / f"times-{args.model}.json")
    for rival, streams in turns(rivals, rows, args.most, args.refine):
        row = run(rival, streams, shape, material)
        rows.append(row)
        _sum_up(result)
        write_result(args.out, result)
        show(row, rival)
    _sum_up(result)
    write_result(args.out, result)
    plot(result, args.plot)
    write_tables(result, args.tables)
    return 0


def read_material(folder: Path, model: Path, cache: Path) -> Material:
    """Sentences whose words the model writes as the reference does: spelled letters and numbers cannot be aligned.
    Raises SystemExit when there are none."""
    clips = [clip for clip in read_spoken(folder, CANDIDATES, "en") if clip.seconds <= LONGEST_S and not spelled(clip)]
    times = clip_times(clips, model, cache)
    readable = [clip for clip in clips if times[id(clip)].error <= READABLE and times[id(clip)].speech][:CLIPS]
    if not readable:
        raise SystemExit(f"{folder} has no clip of 4 to {LONGEST_S:g} s of which the model writes most words")
    return Material(readable, times, model)


def spelled(clip: Spoken) -> bool:
    words = clip.reference.split()
    return sum(map(len, words)) < SPELLED_LETTERS * len(words)


def _begin(args: argparse.Namespace, shape: Shape) -> dict[str, Any]:
    """The rows measured before with the same settings, if any; without disturbed ones where the flags say so. Each row
    holds its own measured time."""
    settings = asdict(shape) | {"clips": CLIPS}
    for name in ("steady_s", "stream_s"):
        del settings[name]
    fresh = {"benchmark": "peers", **circumstances(), "model": args.model, "settings": settings, "rows": []}
    if not args.out.exists() or args.afresh:
        return fresh
    before = json.loads(args.out.read_text())
    if (before["settings"], before["model"]) != (settings, args.model):
        raise SystemExit(f"{args.out} has rows of other settings: give --afresh, or another --out")
    rows = [row for row in before["rows"] if "failed" not in row and not (args.redo_disturbed and row["disturbed"])]
    return fresh | {"rows": rows}


def _sum_up(result: dict[str, Any]) -> None:
    names = {row["name"] for row in result["rows"]}
    rivals = [rival for rival in RIVALS.values() if rival.name in names]
    for row in result["rows"]:
        row["broken"] = {promise.name: broken(row, RIVALS[row["name"]], promise) for promise in PROMISES}
    result["promises"] = ratios(result["rows"], rivals, RIVALS["cohear"])
    result["ratio_to_best_rival"] = result["promises"]["strict"]["ratio_to_best_rival"]


def show(row: Row, rival: Rival) -> None:
    if "failed" in row:
        print(f"{rival.name:<18}{row['streams']:>4}  FAILED: {row['failed']}", flush=True)
        return
    ms, server = row["ms"], row["server"]
    marks = [f"{name} {ms[name].get('p50', '-')}/{ms[name].get('p95', '-')}" for name in (rival.judged, "lag")]
    marks += [f"WER {row['word_error'] and row['word_error']['wer_percent']}", f"lost {row['lost_words_percent']}"]
    marks += [f"cores {server['cores']}", f"{server['rss_mb']:.0f} MB"]
    marks += [f"DISTURBED (> {BUSY_CORES} cores)"] if row["disturbed"] else []
    kept = [name for name, faults in row["broken"].items() if not faults]
    print(f"{rival.name:<18}{row['streams']:>4}  {', '.join(marks)}: kept {', '.join(kept) or 'nothing'}", flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--speech", type=Path, required=True, metavar="DIR", help="folder with a manifest.jsonl")
    parser.add_argument("--out", type=Path, default=Path("bench/results/peers.json"), help="(default: %(default)s)")
    parser.add_argument("--plot", type=Path, default=Path("docs/images/peers.png"), help="(default: %(default)s)")
    parser.add_argument("--tables", type=Path, default=Path("docs/peers.md"), help="(default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=list(RIVALS), metavar="NAME", help=", ".join(RIVALS))
    parser.add_argument("--model", default="tiny.en", help="(default: %(default)s)")
    parser.add_argument("--most", type=int, default=64, help="never more streams (default: %(default)s)")
    parser.add_argument("--refine", type=int, default=0, help="rounds of halving the gap above (default: %(default)s)")
    parser.add_argument("--steady-s", type=float, default=20.0, help="measured time (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--afresh", action="store_true", help="forget the rows in --out")
    parser.add_argument("--redo-disturbed", action="store_true", help="measure disturbed rows again")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
