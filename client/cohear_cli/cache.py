"""`cohear cache`: the results that `cohear transcribe` and `cohear serve --cache` keep."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from .stdio import print_json, say
from .usage import Help, Subparsers

if TYPE_CHECKING:
    from cohear_server.engine.cache import Cache


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and what it can do."""
    parser = subparsers.add_parser(
        "cache",
        help="results that are remembered: how many, how often used; check or drop them",
        formatter_class=Help,
        description="""Transcripts of files and of single windows, by the hash of the audio, of the model and of all
options that decide the text; of `cohear transcribe`, and of finals of `cohear serve --cache`. Least recently used ones
go when it is full (1 GiB).""",
        epilog="""examples:
  cohear cache info
  cohear cache verify                       check every entry, drop damaged ones
  cohear cache clear""",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, text in (
        ("info", "entries, size and hit rate"),
        ("verify", "check every entry; damaged ones are dropped"),
        ("clear", "drop everything"),
    ):
        action = actions.add_parser(name, help=text, description=text, formatter_class=Help)
        action.add_argument("--cache-dir", type=Path, metavar="DIR", help="(default: COHEAR_CACHE_DIR, or ~/.cache)")
        action.add_argument("--json", action="store_true", help="print JSON")
        action.set_defaults(run=run, action=name)


def run(args: argparse.Namespace) -> int:
    """1 where something was damaged."""
    from cohear_server.engine.cache import Cache

    cache = Cache(args.cache_dir)
    try:
        return {"info": _info, "verify": _verify, "clear": _clear}[args.action](cache, args)
    finally:
        cache.close()


def _info(cache: Cache, args: argparse.Namespace) -> int:
    found = cache.info()
    table = {
        "path": str(found.path),
        "entries": found.entries,
        "size_bytes": found.size_bytes,
        "limit_bytes": found.limit_bytes,
        "hits": found.hits,
        "misses": found.misses,
        "damaged": found.damaged,
        "hit_rate": round(found.hit_rate, 4),
    }
    if args.json:
        print_json(table, indent=1)
        return 0
    print(f"{found.path}: {found.entries} entries, {found.size_bytes / 1e6:.1f} of {found.limit_bytes / 1e6:.0f} MB")
    print(f"{found.hits} hits, {found.misses} misses ({100 * found.hit_rate:.0f} % known)")
    return 0


def _verify(cache: Cache, args: argparse.Namespace) -> int:
    wrong = cache.verify()
    if args.json:
        print_json({"damaged": wrong}, indent=1)
    elif not wrong:
        print("all entries are whole")
    if wrong:
        say(f"cohear: {len(wrong)} damaged entries were dropped: that audio is heard again")
    return 1 if wrong else 0


def _clear(cache: Cache, args: argparse.Namespace) -> int:
    dropped = cache.clear()
    print(json.dumps({"dropped": dropped}) if args.json else f"{dropped} entries dropped")
    return 0
