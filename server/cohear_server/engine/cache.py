"""What was heard in audio that was seen before: a table of results by the hash of the audio and of all that decides
its text. Safe under threads, several processes and kill -9 (SQLite, write-ahead log).

It knows bytes and keys only. Least recently used entries go when it is full. A cache that cannot be used (disk full,
no permission, damaged) is as good as none: it says so once and the work goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import ClientError

logger = logging.getLogger(__name__)

Out = TypeVar("Out")

DEFAULT_LIMIT_BYTES = 1 << 30
KEPT_SHARE = 0.9
"""after the oldest entries of a full cache were dropped"""
BUSY_S = 10.0
USAGE_S = 5.0
"""between two times that what is used is written down, so that others see it"""
FILE_NAME = "results.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL, used REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_used ON entries (used);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class CacheInfo:
    path: Path
    entries: int
    size_bytes: int
    limit_bytes: int
    hits: int
    misses: int

    @property
    def hit_rate(self) -> float:
        return self.hits / max(1, self.hits + self.misses)


def default_folder() -> Path:
    """COHEAR_CACHE_DIR, else the user's cache folder."""
    named = os.environ.get("COHEAR_CACHE_DIR")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cohear" / "results"


def open_cache(folder: str, limit_mb: int) -> Cache:
    """As settings tell it; no folder is the default one. Raises as Cache does."""
    return Cache(Path(folder).expanduser() if folder else None, limit_mb << 20)


def key_of(*parts: str | bytes) -> str:
    """One key of several parts, each of any length."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


class Cache:
    def __init__(self, folder: Path | None = None, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        """Raises ClientError(`bad_cache`) if there can be none in `folder`; the default is `default_folder`."""
        self.path = (folder or default_folder()) / FILE_NAME
        self.limit_bytes = limit_bytes
        self.hits = self.misses = 0
        """of this run; those of all runs are in `info`"""
        self._lock = threading.Lock()
        self._broken = False
        self._touched: dict[str, float] = {}
        self._written_s = time.monotonic()
        self._counted: dict[str, int] = {}
        """hits and misses that the table knows already"""
        try:
            # what people said is nobody else's to read
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            self._db = sqlite3.connect(self.path, timeout=BUSY_S, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            self._size = self._total()
        except (OSError, sqlite3.Error) as fault:
            raise ClientError(
                "bad_cache",
                f"{self.path}: the cache cannot be used ({fault})",
                "delete the file, or run with --no-cache, or name another folder: --cache-dir",
            ) from fault

    def get(self, key: str) -> bytes | None:
        """What was put; None if it is not there, or no longer whole."""
        return self._guarded(lambda: self._get(key))

    def put(self, key: str, value: bytes) -> None:
        """Keep it, unless it alone is over the limit."""
        if len(value) <= self.limit_bytes:
            self._guarded(lambda: self._put(key, value))

    def _get(self, key: str) -> bytes | None:
        row = self._db.execute("SELECT value, digest FROM entries WHERE key = ?", (key,)).fetchone()
        if row is None or hashlib.sha256(row[0]).digest() != row[1]:
            self.misses += 1
            return None
        self.hits += 1
        self._touched[key] = time.time()
        return bytes(row[0])

    def _put(self, key: str, value: bytes) -> None:
        digest = hashlib.sha256(value).digest()
        old = self._db.execute("SELECT size FROM entries WHERE key = ?", (key,)).fetchone()
        row = (key, value, digest, len(value), time.time())
        self._db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", row)
        self._size += len(value) - (old[0] if old else 0)
        if self._size > self.limit_bytes:
            self._shrink()

    def info(self) -> CacheInfo:
        with self._lock:
            self._write_usage()
            entries, size = self._db.execute("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM entries").fetchone()
            counts = dict(self._db.execute("SELECT name, value FROM counters").fetchall())
        return CacheInfo(self.path, entries, size, self.limit_bytes, counts.get("hits", 0), counts.get("misses", 0))

    def clear(self) -> int:
        """Drop everything; how many entries that were."""
        with self._lock:
            dropped = self._db.execute("DELETE FROM entries").rowcount
            self._db.execute("DELETE FROM counters")
            self._db.execute("VACUUM")
            self.hits = self.misses = 0
            self._counted.clear()
            self._touched.clear()
            self._size = 0
        return int(dropped)

    def verify(self) -> list[str]:
        """Keys of entries that are no longer what was put; they are dropped. Raises sqlite3.DatabaseError if the file
        itself is damaged."""
        with self._lock:
            (state,) = self._db.execute("PRAGMA integrity_check").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state)
            rows = self._db.execute("SELECT key, value, digest FROM entries")
            wrong = [key for key, value, digest in rows if hashlib.sha256(value).digest() != digest]
            self._db.executemany("DELETE FROM entries WHERE key = ?", [(key,) for key in wrong])
            self._size = self._total()
        return wrong

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error), self._lock:
            self._write_usage()
        self._db.close()

    def _guarded(self, work: Callable[[], Out]) -> Out | None:
        """Faults of the database end the use of the cache, not the run."""
        with self._lock:
            if self._broken:
                return None
            try:
                if time.monotonic() - self._written_s > USAGE_S:
                    self._write_usage()
                return work()
            except sqlite3.Error as fault:
                logger.warning("%s: the cache is not used any more: %s", self.path, fault)
                self._broken = True
                return None

    def _shrink(self) -> None:
        self._write_usage()
        self._size = self._total()  # others may have written
        excess = self._size - int(KEPT_SHARE * self.limit_bytes)
        old: list[tuple[str]] = []
        for key, size in self._db.execute("SELECT key, size FROM entries ORDER BY used"):
            if excess <= 0:
                break
            old.append((key,))
            excess -= size
        self._db.executemany("DELETE FROM entries WHERE key = ?", old)
        self._size = self._total()

    def _write_usage(self) -> None:
        self._written_s = time.monotonic()
        self._db.executemany("UPDATE entries SET used = ? WHERE key = ?", [(t, k) for k, t in self._touched.items()])
        self._touched.clear()
        for name, count in (("hits", self.hits), ("misses", self.misses)):
            self._db.execute(
                "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (name, count - self._counted.get(name, 0)),
            )
            self._counted[name] = count

    def _total(self) -> int:
        return int(self._db.execute("SELECT COALESCE(SUM(size), 0) FROM entries").fetchone()[0])
