"""What processes use, read from /proc (Linux), and a server of our own to measure."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

COHEAR = Path(sys.executable).parent / "cohear"
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds so far, and memory now."""

    cpu_s: float
    """all threads"""
    loop_cpu_s: float
    """the main thread alone: the event loop, which does everything but the model's work"""
    rss_mb: float
    machine_cpu_s: float
    """all processes of this machine"""


def usage(pid: int) -> Usage:
    """Raises OSError when there is no such process."""
    proc = Path("/proc") / str(pid)
    pages = int((proc / "statm").read_text().split()[1])
    rss_mb = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    loop_cpu_s = _cpu_s(proc / "task" / str(pid) / "stat")
    return Usage(_cpu_s(proc / "stat"), loop_cpu_s, round(rss_mb, 1), _machine_cpu_s())


def _machine_cpu_s() -> float:
    fields = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _, _, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) * _TICK_S


def _cpu_s(stat: Path) -> float:
    # the name in parentheses may hold spaces
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    pid: int


@contextlib.contextmanager
def running_server(options: Sequence[str]) -> Iterator[Server]:
    """`cohear serve` on a free port, ready; it is stopped when the context is left. Its log goes to standard error."""
    command = [str(COHEAR), "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        banner = server.stdout.readline()
        found = re.search(r"ws://[\d.:]+", banner)
        if not found:
            raise SystemExit(f"the server did not start: {banner!r}")
        try:
            yield Server(found[0], server.pid)
        finally:
            server.terminate()
            try:
                server.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                server.kill()


def tree_usage(roots: Sequence[int]) -> Usage:
    """Sum over these processes and all their children; children that have ended do not count.

    Raises OSError when one of `roots` has ended."""
    total = [usage(pid) for pid in roots]
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    waiting = [child for pid in roots for child in children.get(pid, ())]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, ())
        with contextlib.suppress(OSError):
            total.append(usage(pid))
    cpu_s, loop_cpu_s, rss_mb = (sum(getattr(one, name) for one in total) for name in ("cpu_s", "loop_cpu_s", "rss_mb"))
    return Usage(cpu_s, loop_cpu_s, round(rss_mb, 1), _machine_cpu_s())
