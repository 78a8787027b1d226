"""A watched folder: its files as they come, each when no program writes it any more, and again when it has changed.

It looks once a second. On Linux a lease shows whether a file is open for writing; elsewhere a file that has not changed
for a while counts as complete.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cohear_client.errors import ClientError

from .inputs import Input, find_inputs

LOOK_S = 1.0
QUIET_S = 3.0
"""without a change, for a file of which the system does not say whether it is written"""
OPEN_S = 60.0
"""the same for one that is held open, or is empty: some programs never close"""

Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Seen:
    stamp: Stamp
    since_s: float


class Watch:
    """`inputs` may run in another thread than `finished`."""

    def __init__(
        self,
        names: Sequence[str],
        known: Iterable[Input] = (),
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`known` files are left alone until they change. Raises ClientError(`no_folder`)."""
        if not any(Path(name).is_dir() for name in names):
            raise ClientError("no_folder", f"{names[0]}: is no folder that could be watched", "name a folder")
        self._names = names
        self._now, self._wait = now, wait
        self._told: dict[Path, Stamp] = {one.path: _stamp(one.path) for one in known}
        self._seen: dict[Path, _Seen] = {}
        self._working: set[Path] = set()

    def inputs(self) -> Iterator[Input | None]:
        """For ever; None while there is nothing new. A file in work does not come again before it is finished."""
        while True:
            fresh = False
            for one in find_inputs(self._names, may_be_empty=True):
                if self._is_ready(one.path):
                    fresh = True
                    self._working.add(one.path)
                    yield one
            if not fresh:
                yield None
            self._wait(LOOK_S)

    def finished(self, path: Path) -> None:
        self._working.discard(path)

    def _is_ready(self, path: Path) -> bool:
        stamp = _stamp(path)
        if stamp == self._told.get(path) or path in self._working:
            return False
        seen = self._seen.get(path)
        if seen is None or seen.stamp != stamp:
            self._seen[path] = _Seen(stamp, self._now())
            return False
        quiet_s = self._now() - seen.since_s
        written = _is_written(path)
        least_s = OPEN_S if written or not stamp[0] else QUIET_S if written is None else 0.0
        if quiet_s < least_s:
            return False
        self._told[path] = stamp
        del self._seen[path]
        return True


def _is_written(path: Path) -> bool | None:
    """Whether a process has the file open for writing; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    import fcntl

    try:
        with path.open("rb") as file:
            # fcntl(2): a read lease is granted only while nobody has the file open for writing
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:  # another owner, or a file system without leases
        return None
    return False


def _stamp(path: Path) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return (0, -1)
    return status.st_size, status.st_mtime_ns
