"""One run: a fresh server, streams at the speed of speech, and the figures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from livestream import StreamLog, StreamPlan
from load import BUSY_CORES
from measures import Span, percentile, summary
from process import tree_usage
from speech import Errors, error_rate, word_errors
from tally import LATE_LIMIT_MS
from voice import Spoken, Voice

from .readers import Reader, Showing
from .rivals import Rival
from .spoken import Speaker, Times
from .stream import run_stream
from .text import Answer, answers, lags_ms, lost_words, see, utterances

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0
WARM_UP_S = 3.0
BEGIN_AFTER_S = 0.5
AHEAD = -10
NUMBER_OF_WARM_UP = 10_000
"""numbers of the warm-up streams begin here"""


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of the load of every run."""

    steady_s: float = 20.0
    """measured time, at least"""
    stream_s: float = 160.0
    """measured time of all streams together, at least: a p95 over five sentences would be the worst one"""
    settle_s: float = 5.0
    ramp_s_a_stream: float = 0.25
    tail_s: float = 3.0
    """silence after the speech, so that the last words can be answered"""
    drain_s: float = 10.0
    network_jitter_ms: float = 20.0
    seed: int = 1

    def steady_of(self, streams: int) -> float:
        return max(self.steady_s, self.stream_s / streams)


@dataclass(frozen=True, slots=True)
class Material:
    clips: Sequence[Spoken]
    times: Times
    model: Path


def run(rival: Rival, streams: int, shape: Shape, material: Material) -> dict[str, Any]:
    """One row of the result. It has a `failed` where the server did not start, or died."""
    row: dict[str, Any] = {"name": rival.name, "streams": streams}
    try:
        with serving(rival, streams if rival.one_stream else 1, material.model) as servers, ahead_of_others():
            return row | asyncio.run(_measure(rival, streams, shape, material, servers))
    except (OSError, RuntimeError) as fault:
        return row | {"failed": str(fault).replace(str(Path.home()), "~")}


@contextlib.contextmanager
def ahead_of_others() -> Iterator[None]:
    """Gives this process a higher priority: real speakers are on other machines, so a server that takes every core must
    not make them late. Without the right to do so, a run whose frames were late is marked invalid."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, AHEAD)
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)


@dataclass(frozen=True, slots=True)
class Servers:
    ports: list[int]
    pids: list[int]

    def port(self, number: int) -> int:
        return self.ports[number % len(self.ports)]


@contextlib.contextmanager
def serving(rival: Rival, count: int, model: Path) -> Iterator[Servers]:
    """`count` processes of a server that answer on their ports, without network, in a home directory of their own.
    Raises RuntimeError, with the log, if one does not start."""
    with tempfile.TemporaryDirectory() as home, contextlib.ExitStack() as stack:
        processes: list[subprocess.Popen[bytes]] = []
        ports = [_free_port() for _ in range(count)]
        for number, port in enumerate(ports):
            command = rival.command(port, model)
            log = stack.enter_context((Path(home) / f"log-{number}").open("w+b"))
            environment = isolated(Path(home)) | command.environment
            processes.append(
                subprocess.Popen(command.arguments, cwd=home, env=environment, stdout=log, stderr=subprocess.STDOUT)
            )
        try:
            for number, (process, port) in enumerate(zip(processes, ports, strict=True)):
                _wait_for(process, port, Path(home) / f"log-{number}")
            yield Servers(ports, [process.pid for process in processes])
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if kept := os.environ.get("COHEAR_BENCH_LOGS"):
                for number in range(count):
                    (Path(kept) / f"{rival.name}-{number}.log").write_bytes((Path(home) / f"log-{number}").read_bytes())


def isolated(home: Path) -> dict[str, str]:
    """The environment variables of a server: none of ours, and no access to a model hub."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    ours = {"HOME": str(home), "HF_HOME": str(home / "hf"), "XDG_CACHE_HOME": str(home / "cache")}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return kept | ours | offline | {"OMP_NUM_THREADS": str(os.cpu_count() or 1), "PYTHONUNBUFFERED": "1"}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until_s:
        if process.poll() is not None:
            break
        # a server for one stream at a time would take a connection for its stream
        if _listens(port):
            return
        time.sleep(0.1)
    raise RuntimeError(f"it did not start: {log.read_text(errors='replace')[-2_000:]}")


def _listens(port: int) -> bool:
    """Whether a process listens on the port, found without connecting."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                return True
    return False


async def _measure(rival: Rival, streams: int, shape: Shape, material: Material, servers: Servers) -> dict[str, Any]:
    await _warm_up(rival, shape, material, servers)
    begin_s = time.monotonic() + BEGIN_AFTER_S
    ramp_s = shape.ramp_s_a_stream * (streams - 1)
    steady_s = shape.steady_of(streams)
    steady = (begin_s + ramp_s + shape.settle_s, begin_s + ramp_s + shape.settle_s + steady_s)
    plans = [_plan(rival, number, (begin_s, steady[1]), shape) for number in range(streams)]
    speakers = [Speaker(material.clips, plan.seed, steady[1] - plan.start_at_s) for plan in plans]
    begun_s = time.process_time()
    running = [
        asyncio.create_task(run_stream(servers.port(plan_no), rival.wire, plan_no, plan, speaker))
        for plan_no, (plan, speaker) in enumerate(zip(plans, speakers, strict=True))
    ]
    usages = []
    for moment_s in steady:
        await asyncio.sleep(moment_s - time.monotonic())
        try:
            usages.append((tree_usage(servers.pids), time.process_time() - begun_s))
        except OSError:
            raise RuntimeError("the server died under the load") from None
    logs = await asyncio.gather(*running)
    sums = Sums()
    for log, speaker in zip(logs, speakers, strict=True):
        sums.add(log, speaker, rival.wire.reader(), material, steady)
    (before, ours_before), (after, ours_after) = usages
    cores = (after.cpu_s - before.cpu_s) / steady_s
    others = (after.machine_cpu_s - before.machine_cpu_s - ours_after + ours_before) / steady_s - cores
    cost = {"cores": round(cores, 3), "cores_per_stream": round(cores / streams, 4), "rss_mb": after.rss_mb}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "steady_s": steady_s,
        **sums.report(),
        "server": cost,
        "other_programs_cores": round(others, 3),
        "disturbed": others > BUSY_CORES,
    }


async def _warm_up(rival: Rival, shape: Shape, material: Material, servers: Servers) -> None:
    """One stream before the run: some servers load the model with the first one, some refuse streams until then."""
    until_s = time.monotonic() + START_TIMEOUT_S
    for number, port in enumerate(servers.ports):
        outcome = ""
        while outcome != "done" and time.monotonic() < until_s:
            plan = StreamPlan(0, (now_s := time.monotonic()), now_s + WARM_UP_S, 100, 0.0, shape.drain_s)
            voice = Voice(material.clips[:1], None, 0)
            outcome = (await run_stream(port, rival.wire, NUMBER_OF_WARM_UP + number, plan, voice)).outcome
            await asyncio.sleep(0.5)
        if outcome != "done":
            raise RuntimeError(f"its first stream was not served: {outcome}")


def _plan(rival: Rival, number: int, load: Span, shape: Shape) -> StreamPlan:
    return StreamPlan(
        seed=shape.seed * 100_000 + number,
        start_at_s=load[0] + shape.ramp_s_a_stream * number,
        end_at_s=load[1] + shape.tail_s,
        frame_ms=rival.frames_ms[number % len(rival.frames_ms)],
        network_jitter_ms=shape.network_jitter_ms,
        drain_s=shape.drain_s,
    )


@dataclass(slots=True)
class Sums:
    """Sums over the streams of a run."""

    outcomes: Counter[str] = field(default_factory=Counter)
    answers: list[Answer] = field(default_factory=list)
    lags_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    errors: list[Errors] = field(default_factory=list)
    said: int = 0
    lost: int = 0
    shed: int = 0
    """samples, where a server reports them"""

    def add(self, log: StreamLog, speaker: Speaker, reader: Reader, material: Material, steady: Span) -> None:
        self.outcomes[log.outcome] += 1
        self.late_ms += log.late_ms
        if not log.origin_s:  # it was not let in
            return
        showings = read_all(reader, log.frames)
        spoken_s = steady[1] - log.origin_s
        said = speaker.words(material.times, spoken_s)
        speech = speaker.speech(material.times, spoken_s)
        until_s = max([spoken_s, *(at_s for at_s, _ in log.frames)])
        seen = see(showings, said, until_s)
        since_s = steady[0] - log.origin_s
        ended = [u for u in utterances(speech, said, spoken_s) if since_s <= u.end_s]
        self.answers += answers(seen, ended, until_s)
        self.lags_ms += lags_ms(seen, said, speech, (since_s, spoken_s))
        self.said += len(said)
        self.lost += lost_words(seen, len(said))
        self.shed += told_shed(log.frames)
        reference = " ".join(word.text for word in said)
        self.errors.append(word_errors(reference, showings[-1][1].text if showings else "", "en"))

    def report(self) -> dict[str, Any]:
        heard = [answer for answer in self.answers if not answer.missing]
        measures = {
            "settled": [answer.settled_ms for answer in heard],
            "settled_where_ended": [answer.settled_ms for answer in heard if answer.ended],
            "final": [answer.final_ms for answer in heard],
            "final_where_ended": [answer.final_ms for answer in heard if answer.ended],
            "first_text": [answer.first_ms for answer in heard],
            "lag": self.lags_ms,
            "send_late": self.late_ms,
        }
        return {
            "valid": bool(self.late_ms) and percentile(self.late_ms, 0.99) <= LATE_LIMIT_MS,
            "outcomes": dict(self.outcomes),
            "unserved": sum(n for outcome, n in self.outcomes.items() if outcome.startswith(("refused", "lost"))),
            "unanswered": sum(answer.missing for answer in self.answers),
            "shed_samples": self.shed,
            "lost_words_percent": round(100 * self.lost / self.said, 2) if self.said else None,
            "word_error": error_rate(self.errors) if any(one.words for one in self.errors) else None,
            "ms": {name: _brief(values) for name, values in measures.items()},
        }


def read_all(reader: Reader, frames: Sequence[tuple[float, str]]) -> list[tuple[float, Showing]]:
    found = []
    for at_s, message in frames:
        try:
            shown = reader.read(message)
        except (ValueError, KeyError, TypeError) as fault:
            print(f"not understood: {message[:200]!r}: {fault}", file=sys.stderr)
            continue
        if shown is not None:
            found.append((at_s, shown))
    return found


def told_shed(frames: Sequence[tuple[float, str]]) -> int:
    """Samples that were not transcribed, from Cohear's `done`; other servers do not report them."""
    last = json.loads(frames[-1][1]) if frames and frames[-1][1].startswith('{"type":"done"') else {}
    return int(last.get("samples", {}).get("shed", 0))


def _brief(values: Sequence[float]) -> dict[str, Any]:
    return {name: value for name, value in summary(values).items() if name != "histogram"}
