"""How many live streams one server carries while it keeps its latency promise: more and more load until it breaks.

    python bench/capacity.py --speech DIR [--modes continuous conversation] [--out bench/results/capacity.json]
                             [--plot docs/images/capacity.png] [--engine bench/results/engine.json]
                             [--server --workers 2 --max-batch 8]

The promise: p95 of finals <= endpoint + 300 ms, p95 cursor lag <= 1 s, nothing shed, nobody refused, every stream done
in order. The number of streams is doubled until the promise is broken, then bisected. Each probe has a fresh server, a
ramp, and at least 30 s of steady load. Half and 80 % of the capacity are measured too. Everything after `--server` goes
to `cohear serve`. Admission is off, because it would refuse the streams to be tried. Definitions: bench/README.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from capacityplot import plot
from engine import core_s_of_windows, read_engine
from load import LoadOptions, add_load_arguments, load_options, measure, settings
from process import running_server, usage
from speech import circumstances, write_result

BOUNDS_MS = {"final_over_endpoint": 300.0, "final_cut": 1_000.0, "cursor_lag": 1_000.0}
"""p95. `final_cut` is for segments cut at their longest length: nobody waits for those, partials show their words"""
MAY_BE_MISSING = "final_cut"
PROMISE = {f"{name}_p95_ms": limit_ms for name, limit_ms in BOUNDS_MS.items()} | {"shed": 0}
MODES: dict[str, float | None] = {"continuous": None, "conversation": 0.4}
"""share of the time in which clips play; None: without pauses between them"""
RAMP_S_A_STREAM = 0.25
"""streams start no faster than this"""


def broken(report: dict[str, Any]) -> list[str]:
    """Each part of the promise that a load report breaks; empty if it is kept."""
    found = []
    for name, limit_ms in BOUNDS_MS.items():
        row = report["ms"][name]
        if not row["count"]:
            if name != MAY_BE_MISSING:
                found.append(f"no {name} was measured")
        elif row["p95"] > limit_ms:
            found.append(f"{name} p95 {row['p95']:.0f} ms > {limit_ms:.0f} ms")
    counts = {"shed samples": report["samples"]["shed"], "refused": report["refused"]}
    counts["unfinished"] = report["unfinished"]
    found += [f"{name}: {count}" for name, count in counts.items() if count]
    if not report["valid"]:
        found.append("the generator was late: the run says nothing")
    return found


@dataclass(slots=True)
class Search:
    """Finds the largest number for which `probe` breaks nothing: by doubling, then by bisection. Keeps all reports."""

    probe: Callable[[int], dict[str, Any]]
    limit: int
    precision: float
    """the search ends when its bounds are this near, as a share of the lower one"""
    reports: dict[int, dict[str, Any]] = field(default_factory=dict)

    def run(self, first: int) -> int:
        """The capacity: 0 if even one stream breaks the promise, `limit` if no number up to it does."""
        low, high = 0, self.limit + 1
        streams = min(first, self.limit)
        while low < streams < high:
            if self.keeps(streams):
                low = streams
            else:
                high = streams
            if high > self.limit:
                streams = min(2 * low, self.limit)
            elif high - low > max(1, self.precision * low):
                streams = (low + high) // 2
            else:
                break
        return low

    def keeps(self, streams: int) -> bool:
        if streams not in self.reports:
            self.reports[streams] = self.probe(streams)
        return not self.reports[streams]["broken"]


def probe(load: LoadOptions, server: list[str], engine: dict[str, Any] | None) -> dict[str, Any]:
    """The report of one load on a fresh server, with the broken parts of the promise and the engine's efficiency."""
    load = replace(load, ramp_s=max(load.ramp_s, RAMP_S_A_STREAM * load.streams))
    begun_s = time.monotonic()
    with running_server(server) as running:
        ready_s = time.monotonic() - begun_s
        idle_mb = usage(running.pid).rss_mb
        report = measure(replace(load, url=running.url, server_pid=running.pid))
    report["server"] |= {"ready_s": round(ready_s, 2), "idle_rss_mb": idle_mb}
    report["broken"] = broken(report)
    if engine is not None:
        cores = report["server"]["cores"]
        needed = core_s_of_windows(engine, report["decoded_windows"]) / load.steady_s
        report["engine_efficiency"] = round(needed / cores, 3) if cores else None
    show(report)
    return report


def show(report: dict[str, Any]) -> None:
    ms, server = report["ms"], report["server"]
    parts = [f"{name} p95 {ms[name].get('p95', '-')}" for name in ("final_over_endpoint", "cursor_lag", "first_words")]
    parts += [
        f"cores {server['cores']}",
        f"loop {server['event_loop_cores']}",
        f"jitter {report['cadence_jitter_share']}",
    ]
    parts += [f"efficiency {report['engine_efficiency']}"] if "engine_efficiency" in report else []
    parts += ["DISTURBED by other programs"] if report["disturbed"] else []
    print(f"{report['streams']:>4} streams: {', '.join(parts)}: {'; '.join(report['broken']) or 'kept'}", flush=True)


def capacity_of(load: LoadOptions, args: argparse.Namespace) -> dict[str, Any]:
    """The capacity in one mode, every probe of the search, and the figures at half and at 80 % load."""
    engine = read_engine(args.engine)
    server = ["--model", args.model, "--max-streams", "10000", "--no-admission", *args.server]
    search = Search(lambda n: probe(replace(load, streams=n), server, engine), args.most, args.precision)
    capacity = search.run(args.first)
    half, most = max(1, capacity // 2), max(1, round(0.8 * capacity))
    for streams in (half, most) if capacity else ():
        search.keeps(streams)
    points = [search.reports[n] for n in sorted(search.reports)]
    result: dict[str, Any] = {"speech_share_of_clips": load.speech_share, "capacity": capacity}
    if capacity:
        at_half, at_80, full = (search.reports[n] for n in (half, most, capacity))
        result |= {
            "final_p95_over_endpoint_ms_half_load": at_half["ms"]["final_over_endpoint"].get("p95"),
            "cadence_jitter_share_80": at_80["cadence_jitter_share"],
            "core_share_per_stream": full["server"]["event_loop_cores_per_stream"],
            "engine_efficiency": full.get("engine_efficiency"),
        }
    return result | {"points": points}


def main() -> int:
    args = _parse()
    load = load_options(args)
    modes: dict[str, Any] = {}
    result = {"benchmark": "capacity", **circumstances(), "model": args.model, "server_options": args.server}
    result |= {"promise": PROMISE, "settings": settings(load), "modes": modes}
    for mode in args.modes:
        print(f"{mode}:", flush=True)
        modes[mode] = capacity_of(replace(load, speech_share=MODES[mode]), args)
        print(f"{mode}: {modes[mode]['capacity']} streams", flush=True)
        if args.out:  # after each: a mode takes many minutes
            write_result(args.out, result)
    if args.plot:
        plot(result, args.plot)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    add_load_arguments(parser)
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES), help="how people speak")
    parser.add_argument("--model", default="tiny.en", help="(default: %(default)s)")
    parser.add_argument("--first", type=int, default=4, help="streams of the first probe (default: %(default)s)")
    parser.add_argument("--most", type=int, default=512, help="never more streams (default: %(default)s)")
    parser.add_argument("--precision", type=float, default=0.05, help="of the capacity (default: %(default)s)")
    parser.add_argument("--engine", type=Path, default=Path("bench/results/engine.json"), help="result of engine.py")
    parser.add_argument("--out", type=Path, help="result file, such as bench/results/capacity.json")
    parser.add_argument("--plot", type=Path, help="picture, such as docs/images/capacity.png")
    parser.add_argument("--server", nargs=argparse.REMAINDER, default=[], help="the rest: options of `cohear serve`")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
