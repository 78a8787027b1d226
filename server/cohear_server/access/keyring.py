"""The valid keys: those of the file, read again when it changes. A damaged or empty file is logged and changes nothing;
no key is taken away while the file may still be written.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path

from ..errors import ClientError
from ..live.caller import Caller
from .keys import Key, hash_of, read_keys

logger = logging.getLogger(__name__)

KEY_ID_CHARS = 16

WRITTEN_S = 0.5
"""a file that is written in place is complete when it has not changed for so long"""

_Stamp = tuple[int, int, int]
"""when a file was changed, in ns; its size; its inode"""


class Keyring:
    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """`clock`: as that of the files. Raises ClientError(`bad_keys`) for a file that cannot be used."""
        self._path = path
        self._clock = clock
        self._stamp = _stamp(path)
        self._keys = read_keys(path)

    def refresh(self) -> bool:
        """Read the file again if it changed. True if the keys changed."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        before, self._stamp = self._stamp, stamp
        try:
            keys = read_keys(self._path)
        except ClientError as fault:
            logger.error("the keys stay as they were: %s", fault)
            return False
        missing = [key for key in self._keys if key not in keys]
        if missing and self._is_being_written(before, stamp):
            keys = (*missing, *keys)
            self._stamp = None  # it is looked at again
        changed = keys != self._keys
        self._keys = keys
        if changed:
            logger.info("%d keys hold now", len(keys))
        return changed

    def caller_of(self, secret: str) -> Caller | None:
        """Whose key this is. A wrong key takes as long as a right one."""
        self.refresh()
        presented = hash_of(secret)
        found: Caller | None = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, presented):
                found = _caller(key)
        return found

    def _is_being_written(self, before: _Stamp | None, now: _Stamp | None) -> bool:
        """Whether the file may be incomplete. One that took the place of the old one is not."""
        in_place = before is None or now is None or before[2] == now[2]
        return in_place and now is not None and abs(self._clock() - now[0] / 1e9) < WRITTEN_S

    def holds(self, caller: Caller) -> bool:
        """Whether the caller's key is still valid, with the same scopes."""
        return any(_caller(key) == caller and caller.scopes <= set(key.scopes) for key in self._keys)


def _caller(key: Key) -> Caller:
    return Caller(key.name, key.sha256[:KEY_ID_CHARS], frozenset(key.scopes))


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
