"""Many paced live streams against a running server: latency, steadiness, losses, word error and cost.

    cohear serve --port 8765 & python bench/load.py --speech DIR --streams 16 --server-pid $! [--out FILE --plot FILE]

Open loop: audio goes out at the speed of speech, whatever the server does. Streams start one after another within the
ramp. After the settling time the steady time begins. Only what is spoken in the steady time counts, except that losses
and word error count whole streams. A run whose frames left late (p99 > 20 ms) is marked invalid: it measured the
generator. Definitions: bench/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cohear_client.protocol import Start
from livestream import StreamPlan, run_stream
from loadplot import plot
from process import Usage, usage
from speech import circumstances, speech_folder, write_result
from tally import Tally
from voice import Spoken, Voice, read_spoken

BEGIN_AFTER_S = 1.0
"""from the moment that all processes are ready"""
BUSY_CORES = 0.15
"""other programs that use more than this share of a core are reported as disturbing"""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    url: str
    speech: Path
    streams: int
    steady_s: float = 30.0
    """measured time"""
    ramp_s: float = 10.0
    """streams start evenly over this time"""
    settle_s: float = 5.0
    """after the last start, before anything counts"""
    drain_s: float = 30.0
    """how long finals and `done` may take after the end"""
    frames_ms: tuple[int, ...] = (20, 40, 100)
    """frame lengths, streams take them in turn"""
    network_jitter_ms: float = 20.0
    speech_share: float | None = None
    """share of the time in which clips play; None: without pauses between them"""
    endpoint_ms: int = 500
    language: str = "en"
    words: bool = True
    clips: int = 40
    seed: int = 1
    processes: int = 1
    server_pid: int | None = None


@dataclass(frozen=True, slots=True)
class _Share:
    """The streams of one process; all processes begin at the same time."""

    options: LoadOptions
    numbers: tuple[int, ...]
    begin_s: float

    @property
    def steady(self) -> tuple[float, float]:
        since_s = self.begin_s + self.options.ramp_s + self.options.settle_s
        return since_s, since_s + self.options.steady_s

    def plan(self, number: int) -> StreamPlan:
        options = self.options
        return StreamPlan(
            seed=options.seed * 100_000 + number,
            start_at_s=self.begin_s + options.ramp_s * number / options.streams,
            end_at_s=self.steady[1],
            frame_ms=options.frames_ms[number % len(options.frames_ms)],
            network_jitter_ms=options.network_jitter_ms,
            drain_s=options.drain_s,
        )


def measure(options: LoadOptions) -> dict[str, Any]:
    """Run the load; its figures. Raises SystemExit without usable clips, OSError without a server process."""
    if options.server_pid is not None:
        usage(options.server_pid)  # fails now rather than at the end
    processes = min(options.processes, options.streams)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_prepare, initargs=(options,)) as pool:
        # each process has imported everything and read the clips before the clock starts
        for ready in [pool.submit(time.sleep, 0.5) for _ in range(processes)]:
            ready.result()
        begin_s = time.monotonic() + BEGIN_AFTER_S
        shares = [_Share(options, tuple(range(i, options.streams, processes)), begin_s) for i in range(processes)]
        parts = [pool.submit(_run_share, share) for share in shares]
        before, after = _watch(options, shares[0].steady, parts)
        tally = Tally()
        for part in parts:
            tally.add(part.result())
    wall_s = shares[0].steady[1] - begin_s
    report = {"streams": options.streams, **tally.report(), "generator_cores": round(tally.generator_cpu_s / wall_s, 3)}
    return report | _cost(options, before, after, tally)


def settings(options: LoadOptions) -> dict[str, Any]:
    """The settings that a result file shows; none of them is a path on this machine."""
    return {name: value for name, value in asdict(options).items() if name not in ("url", "speech", "server_pid")}


_clips: list[Spoken] = []


def _prepare(options: LoadOptions) -> None:
    _clips[:] = read_spoken(options.speech, options.clips, options.language)


def _run_share(share: _Share) -> Tally:
    return asyncio.run(_speak(share))


async def _speak(share: _Share) -> Tally:
    options = share.options
    start = Start(language=options.language, words=options.words, endpoint_ms=options.endpoint_ms)
    plans = [share.plan(number) for number in share.numbers]
    voices = [Voice(_clips, options.speech_share, plan.seed) for plan in plans]
    begun_s = time.process_time()
    logs = await asyncio.gather(
        *(run_stream(options.url, start, plan, voice) for plan, voice in zip(plans, voices, strict=True))
    )
    tally = Tally(generator_cpu_s=time.process_time() - begun_s)
    for log, voice in zip(logs, voices, strict=True):
        tally.add_stream(log, voice, share.steady, options.endpoint_ms)
    return tally


def _watch(
    options: LoadOptions, steady: tuple[float, float], parts: list[Future[Tally]]
) -> tuple[Usage | None, Usage | None]:
    """CPU and memory of the server at the start and at the end of the steady time."""
    readings: list[Usage | None] = []
    for moment_s in steady:
        time.sleep(max(0.0, moment_s - time.monotonic()))
        if options.server_pid is None:
            readings.append(None)
            continue
        try:
            readings.append(usage(options.server_pid))
        except OSError:
            for part in parts:
                part.cancel()
            raise SystemExit("the server died under the load") from None
    return readings[0], readings[1]


def _cost(options: LoadOptions, before: Usage | None, after: Usage | None, tally: Tally) -> dict[str, Any]:
    if before is None or after is None:
        return {}
    cores = (after.cpu_s - before.cpu_s) / options.steady_s
    loop_cores = (after.loop_cpu_s - before.loop_cpu_s) / options.steady_s
    wall_s = options.ramp_s + options.settle_s + options.steady_s
    others = (after.machine_cpu_s - before.machine_cpu_s) / options.steady_s - cores - tally.generator_cpu_s / wall_s
    decoded_s = sum(float(s) * n for lengths in tally.windows.values() for s, n in lengths.items())
    return {
        "server": {
            "cores": round(cores, 3),
            "event_loop_cores": round(loop_cores, 3),
            "cores_per_stream": round(cores / options.streams, 4),
            "event_loop_cores_per_stream": round(loop_cores / options.streams, 5),
            "rss_mb": after.rss_mb,
            "decoded_audio_s_per_core_s": round(decoded_s / (after.cpu_s - before.cpu_s), 2) if cores else None,
        },
        "other_programs_cores": round(others, 3),
        "disturbed": others > BUSY_CORES,
    }


def show(report: dict[str, Any]) -> None:
    """The figures as lines of text."""
    mark = "" if report["valid"] else "   INVALID: the generator was late"
    print(f"{report['streams']} streams, {report['outcomes']}, speech {report['speech_share']}{mark}")
    for name, row in report["ms"].items():
        if row["count"]:
            marks = "".join(f"{key} {row[key]:>9.1f}   " for key in ("p50", "p95", "p99", "max"))
            print(f"  {name:<20} {marks} n {row['count']}")
    if report["word_error"]:
        print(f"  {'word_error_percent':<24} {report['word_error']['wer_percent']:.2f}")
    for name in ("samples", "warnings", "cadence_jitter_share", "unstable_words_percent", "server"):
        print(f"  {name:<24} {report.get(name)}")
    print(f"  generator cores {report['generator_cores']}, others {report.get('other_programs_cores', 'not known')}")


def add_load_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the load's shape, with the names of `LoadOptions`."""
    parser.add_argument("--speech", type=speech_folder, required=True, help="folder with manifest.jsonl")
    parser.add_argument("--steady-s", type=float, default=30.0, help="measured time (default: %(default)s)")
    parser.add_argument("--ramp-s", type=float, default=10.0, help="streams start within this (default: %(default)s)")
    parser.add_argument("--settle-s", type=float, default=5.0, help="then not measured yet (default: %(default)s)")
    parser.add_argument("--drain-s", type=float, default=30.0, help="wait for `done` at most (default: %(default)s)")
    parser.add_argument("--frames-ms", type=int, nargs="+", default=[20, 40, 100], help="frame lengths, in turn")
    parser.add_argument("--network-jitter-ms", type=float, default=20.0, help="random delay (default: %(default)s)")
    parser.add_argument("--endpoint-ms", type=int, default=500, help="asked of the server (default: %(default)s)")
    parser.add_argument("--language", default="en", help="of the clips, told to the server (default: %(default)s)")
    parser.add_argument("--no-words", dest="words", action="store_false", help="do not ask for word times")
    parser.add_argument("--clips", type=int, default=40, help="different clips (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="of the generator (default: %(default)s)")


def load_options(args: argparse.Namespace) -> LoadOptions:
    """Options from the flags above; the caller sets url, streams and the rest."""
    names = ("steady_s", "ramp_s", "settle_s", "drain_s", "network_jitter_ms", "endpoint_ms", "language", "words")
    values = {name: getattr(args, name) for name in (*names, "clips", "seed", "processes")}
    return LoadOptions("", args.speech, 0, frames_ms=tuple(args.frames_ms), **values)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--url", default="ws://127.0.0.1:8765", help="(default: %(default)s)")
    parser.add_argument("--streams", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--speech-share", type=float, help="0.4 is a conversation (default: speech without pauses)")
    parser.add_argument("--server-pid", type=int, help="its CPU and memory are measured")
    parser.add_argument("--out", type=Path, help="result file")
    parser.add_argument("--plot", type=Path, help="picture of the histograms")
    add_load_arguments(parser)
    args = parser.parse_args()
    options = replace(
        load_options(args),
        url=args.url,
        streams=args.streams,
        speech_share=args.speech_share,
        server_pid=args.server_pid,
    )
    report = measure(options)
    show(report)
    result = {"benchmark": "load", **circumstances(), "settings": settings(options), **report}
    if args.out:
        write_result(args.out, result)
    if args.plot:
        plot(report, args.plot)
    return 0 if report["valid"] else 1


if __name__ == "__main__":
    sys.exit(main())
