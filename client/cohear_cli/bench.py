"""`cohear bench`: live load on a server, the most streams that this machine carries, the engine's own limit.

The benchmarks are scripts beside the server package (in a checkout: `bench/`); this finds the one that is meant and
runs it with the flags that follow.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

from cohear_client.errors import ClientError

from .usage import Help, Subparsers

BENCHMARKS = {
    "load": "many paced live streams against a running server: latency, steadiness, losses, cost",
    "capacity": "the most live streams at a kept promise, and latency against streams",
    "overload": "more streams than there is room for, for minutes",
    "engine": "the limit: raw model calls by window length and batch size",
    "wer": "word error of live finals against whole files",
}


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "bench",
        help="measure: live load, capacity, word error",
        formatter_class=Help,
        description="Measure on your machine, with your speech: a folder with a manifest.jsonl, one clip a line as\n"
        '{"file": "a.flac", "seconds": 4.2, "norm": "what was said", "lang": "en", "corpus": "mine", "speaker": "1"}.',
        epilog="\n".join(["benchmarks:", *(f"  {name:<10}{text}" for name, text in BENCHMARKS.items())])
        + """

examples:
  cohear bench capacity --speech speech/                     how many streams does this machine carry?
  cohear bench load --speech speech/ --streams 16            16 speakers against the server on 127.0.0.1:8765
  cohear bench load --help                                   all flags of one of them""",
    )
    parser.add_argument("benchmark", choices=list(BENCHMARKS), help="what to measure")
    parser.add_argument("flags", nargs=argparse.REMAINDER, help="its flags")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the script; its exit code. Raises ModuleNotFoundError before it starts where an extra is missing."""
    for needed in ("jiwer", "matplotlib"):
        importlib.import_module(needed)
    return subprocess.run(
        [sys.executable, str(bench_dir() / f"{args.benchmark}.py"), *args.flags], check=False
    ).returncode


def bench_dir() -> Path:
    """Where the scripts are: inside an installed wheel, else in the checkout. Raises ClientError(`no_bench`)."""
    import cohear_server

    package = Path(cohear_server.__file__).parent
    for folder in (package / "_bench", package.parents[1] / "bench"):
        if (folder / "load.py").is_file():
            return folder
    raise ClientError("no_bench", "the benchmarks are not in this installation", "install cohear[server,bench]")
