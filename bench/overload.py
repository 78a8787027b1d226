"""Twice as many live streams as the server has room for, for minutes; then a quarter of them.

    python bench/overload.py --speech DIR --capacity 28 [--overload-s 300] [--out bench/results/overload.json]
                             [--server --no-admission]

All streams start within the ramp and speak without pauses. The server admits as many as it can keep its promise to, and
refuses the others with a time to retry. When the overload ends, three quarters leave. From 10 s later on, the promise
must hold for those who stay. With `--server --no-admission` all are admitted, which shows the ladder: partials come
slower, then (with `--partial-model tiny.en`) from a smaller model, then not at all, and every final comes. Definitions:
bench/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from typing import Any

from capacity import BOUNDS_MS, broken
from cohear_client.protocol import Done, Final, Start
from livestream import StreamLog, StreamPlan, run_stream
from process import running_server, usage
from speech import circumstances, flags, write_result
from tally import Tally
from voice import Spoken, Voice, read_spoken

RAMP_S = 20.0
SETTLE_S = 10.0
RECOVER_S = 10.0
CALM_S = 30.0
DRAIN_S = 60.0
ENDPOINT_MS = 500


@dataclass(frozen=True, slots=True)
class Course:
    """Monotonic times of the run."""

    begin_s: float
    overload_s: float

    @property
    def overload(self) -> tuple[float, float]:
        since_s = self.begin_s + RAMP_S + SETTLE_S
        return since_s, since_s + self.overload_s

    @property
    def calm(self) -> tuple[float, float]:
        since_s = self.overload[1] + RECOVER_S
        return since_s, since_s + CALM_S


async def run(url: str, clips: list[Spoken], streams: int, course: Course) -> dict[str, Any]:
    """Run all streams; figures of the admitted ones during the overload, and of those who stayed after it."""
    stay_each = 4 if streams >= 4 else 1
    voices = [Voice(clips, None, 7_000 + i) for i in range(streams)]
    stays = [number % stay_each == 0 for number in range(streams)]

    async def one(number: int) -> StreamLog:
        end_s = course.calm[1] if stays[number] else course.overload[1]
        start_s = course.begin_s + RAMP_S * number / streams
        plan = StreamPlan(number, start_s, end_s, (20, 40, 100)[number % 3], 20.0, DRAIN_S)
        return await run_stream(url, Start(language="en", endpoint_ms=ENDPOINT_MS), plan, voices[number])

    logs = await asyncio.gather(*(one(i) for i in range(streams)))
    overload, calm = Tally(), Tally()
    for number, log in enumerate(logs):
        overload.add_stream(log, voices[number], course.overload, ENDPOINT_MS)
        if stays[number]:
            calm.add_stream(log, voices[number], course.calm, ENDPOINT_MS)
    return {
        "asked": streams,
        "admitted": sum(not log.outcome.startswith("refused") for log in logs),
        "finals_lost": sum(lost_finals(log) for log in logs),
        "overload": _figures(overload),
        "recovered": _figures(calm),
    }


def lost_finals(log: StreamLog) -> int:
    """How many segments of a finished stream have no final."""
    events = [event for _, event in log.events()]
    done = next((event for event in events if isinstance(event, Done)), None)
    return 0 if done is None else done.segments - sum(isinstance(event, Final) for event in events)


def _figures(tally: Tally) -> dict[str, Any]:
    report = tally.report()
    refused = report.pop("refused")
    return {**report, "refused": refused, "broken": broken({**report, "refused": 0})}


def main() -> int:
    parser = flags(__doc__, clips=40)
    parser.add_argument("--capacity", type=int, required=True, help="streams that keep the promise (capacity.py)")
    parser.add_argument("--times", type=float, default=2.0, help="multiple of the capacity (default: %(default)s)")
    parser.add_argument("--overload-s", type=float, default=300.0, help="(default: %(default)s)")
    parser.add_argument("--server", nargs=argparse.REMAINDER, default=[], help="the rest: options of `cohear serve`")
    args = parser.parse_args()
    clips = read_spoken(args.speech, args.clips, "en")
    with running_server(["--model", args.model, "--max-streams", "10000", *args.server]) as server:
        course = Course(time.monotonic() + 1.0, args.overload_s)
        found = asyncio.run(run(server.url, clips, round(args.times * args.capacity), course))
        found["rss_mb"] = usage(server.pid).rss_mb
    result = {"benchmark": "overload", **circumstances(), "model": args.model, "capacity": args.capacity}
    result |= {"overload_s": args.overload_s, "server_options": args.server, **found}
    print(f"{found['asked']} came, {found['admitted']} were admitted, {found['finals_lost']} finals lost")
    for phase in ("overload", "recovered"):
        row = found[phase]
        worst = {name: row["ms"][name].get("p95") for name in BOUNDS_MS}
        print(f"{phase}: {worst}, warnings {row['warnings']}: {'; '.join(row['broken']) or 'promise kept'}")
    if args.out:
        write_result(args.out, result)
    return 1 if found["finals_lost"] or found["recovered"]["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
