"""The valid keys: those of the file, read again when it changes. A damaged file is logged and changes nothing."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path

from ..errors import ClientError
from ..live.caller import Caller
from .keys import Key, hash_of, read_keys

logger = logging.getLogger(__name__)

KEY_ID_CHARS = 16


class Keyring:
    def __init__(self, path: Path) -> None:
        """Raises ClientError(`bad_keys`) for a file that cannot be used."""
        self._path = path
        self._stamp = _stamp(path)
        self._keys = read_keys(path)

    def refresh(self) -> bool:
        """Read the file again if it changed. True if the keys changed."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            keys = read_keys(self._path)
        except ClientError as fault:
            logger.error("the keys stay as they were: %s", fault)
            return False
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

    def holds(self, caller: Caller) -> bool:
        """Whether the caller's key is still valid, with the same scopes."""
        return any(_caller(key) == caller and caller.scopes <= set(key.scopes) for key in self._keys)


def _caller(key: Key) -> Caller:
    return Caller(key.name, key.sha256[:KEY_ID_CHARS], frozenset(key.scopes))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
