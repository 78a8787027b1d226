"""`cohear keys`: the API keys of a server, in a file of hashes. What is in the file is the server package's.

A running server sees each change within a second; a revoked key's streams are ended.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from .stdio import say
from .usage import Help, Subparsers

VARIABLE = "COHEAR_KEYS"


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and what it can do."""
    parser = subparsers.add_parser(
        "keys",
        help="make, list and revoke API keys of a server",
        formatter_class=Help,
        description=f"""Make, list and revoke the API keys of a server started with `cohear serve --keys FILE`. The file
holds hashes only: a key is shown once, when it is made. A running server sees each change within
a second, and ends the streams of a revoked key. FILE is --keys, else {VARIABLE}, else
{_tilde(_default_file())}.""",
        epilog="""examples:
  cohear keys add reception --keys keys.toml
  cohear serve --host 0.0.0.0 --keys keys.toml
  COHEAR_API_KEY=cohear_... cohear stream talk.flac --url ws://server:8765
  cohear keys add prometheus --scope operate
  cohear keys list
  cohear keys revoke reception""",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    for name, text in (("add", "make a key, and print it"), ("revoke", "make a key invalid, and end its streams")):
        actions.add_parser(name, help=text, description=text).add_argument("name", metavar="NAME", help="whose key")
    scope = "what it is good for, each in its turn: stream (the default), operate (/metrics, /v1/status, /dashboard)"
    actions.choices["add"].add_argument("--scope", action="append", choices=("stream", "operate"), help=scope)
    actions.add_parser("list", help="names of the keys, and when they were made").add_argument(
        "--json", action="store_true", help="print JSON"
    )
    for action in actions.choices.values():
        action.add_argument("--keys", metavar="FILE", type=Path, help="file of keys")
        action.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what was asked. Raises ClientError for names and files that will not do."""
    from cohear_server.access.keys import add_key, read_keys, revoke_key

    file: Path = args.keys or Path(os.environ.get(VARIABLE) or _default_file())
    match args.action:
        case "add":
            key = add_key(file, args.name, args.scope or ("stream",))
            say(f"the key {args.name!r}, kept as a hash in {file}; it is not shown again:")
            print(key)
        case "revoke":
            revoke_key(file, args.name)
            say(f"revoked {args.name!r} in {file}")
        case _:
            keys = read_keys(file)
            found = [{"name": k.name, "created": k.created.isoformat(), "scopes": list(k.scopes)} for k in keys]
            lines = [f"{k.name:<24}{k.created.isoformat()}  {', '.join(k.scopes)}" for k in keys]
            print(json.dumps(found, indent=1) if args.json else "\n".join(lines) or f"no keys in {file}")
    return 0


def _default_file() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "cohear" / "keys.toml"


def _tilde(path: Path) -> str:
    home = str(Path.home())
    return str(path).replace(home, "~", 1) if str(path).startswith(home) else str(path)
