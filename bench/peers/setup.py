"""Makes the virtual environment of a rival, with pinned versions: python -m bench.peers.setup NAME...|all

They lie under ~/.cache/cohear-bench. A rival that no package index has is exported from a clone: --clone NAME=DIR (a
git directory or work tree); `--list` shows which ones. Nothing of them becomes part of this repository.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from .older import for_311
from .rivals import HOME, RIVALS, Rival


def make(rival: Rival, clone: Path | None) -> None:
    """Raises SystemExit when pip or git fails, or a clone is needed and not given."""
    if not rival.pins:
        return
    folder = HOME / rival.name
    pip = [rival.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([*pip, *rival.pins])
    if rival.alone:
        _run([*pip, "--no-deps", *rival.alone])
    if rival.source is not None:
        if clone is None:
            raise SystemExit(f"{rival.name} needs --clone {rival.name}=DIR, a clone of {rival.source}")
        export(clone, rival.version.removeprefix("commit "), folder / "source")
        if rival.newer_python:
            for file in (folder / "source").rglob("*.py"):
                file.write_text(for_311(file.read_text()))


def export(clone: Path, commit: str, folder: Path) -> None:
    """The files of a commit, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = subprocess.run(["git", "-C", str(clone), "archive", commit], stdout=subprocess.PIPE, check=False)
    if archive.returncode:
        raise SystemExit(f"{clone} does not have commit {commit}")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)


def _run(command: list[str]) -> None:
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(f"failed: {' '.join(command)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="or all")
    parser.add_argument("--clone", action="append", default=[], metavar="NAME=DIR", help="source that is on no index")
    parser.add_argument("--list", action="store_true", help="what there is, and where its source is")
    args = parser.parse_args()
    if args.list:
        for rival in RIVALS.values():
            print(f"{rival.name:<18} {rival.version:<16} {rival.source or ', '.join(rival.pins[-1:])}")
        return 0
    unknown = set(args.names) - {*RIVALS, "all"}
    if unknown or not args.names:
        parser.error(f"give one of {', '.join(RIVALS)}, all" + (f"; not {', '.join(unknown)}" if unknown else ""))
    clones = {name: Path(folder) for name, _, folder in (clone.partition("=") for clone in args.clone)}
    for name in RIVALS if "all" in args.names else args.names:
        make(RIVALS[name], clones.get(name))
        print(f"{name}: ready", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
