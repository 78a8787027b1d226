"""What was heard in audio that was seen before: a table of results by the hash of the audio and of all that decides
its text. Safe under threads, several processes and kill -9 (SQLite, write-ahead log).

It knows bytes and keys only. Least recently used entries go when it is full. While a cache cannot be used (busy, disk
full, no permission, damaged) it is as good as none: it says so once, the work goes on, and it is tried again later. An
entry that is not what was put is dropped, counted, and as good as none.
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
"""share of the limit that is kept when old entries of a full cache are dropped"""
BUSY_S = 1.0
"""how long others may lock it before it is left alone: whoever asks waits meanwhile"""
RETRY_S = 10.0
"""after a fault, until it is tried again"""
USAGE_S = 5.0
"""time between two writes of what was used, so that other processes see it"""
FILE_NAME = "results.sqlite"
COUNTERS = ("hits", "misses", "damaged")
FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""what a damaged file raises; sqlite3 cannot always read its own messages"""
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
    damaged: int
    """entries that were dropped because they were not what was put"""

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
    """The cache of these settings; without a folder, in the default one. Raises what `Cache` raises."""
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
        self.hits = self.misses = self.damaged = 0
        """of this run; those of all runs are in `info`"""
        self._lock = threading.Lock()
        self._retry_s: float | None = None
        """when it is tried again after a fault; None while it works"""
        self._touched: dict[str, float] = {}
        self._written_s = time.monotonic()
        self._counted: dict[str, int] = {}
        """hits and misses that are in the table already"""
        try:
            # only this user may read what people said
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            self._db = sqlite3.connect(self.path, timeout=BUSY_S, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            self._size = self._total()
        except (OSError, *FAULTS) as fault:
            raise ClientError(
                "bad_cache",
                f"{self.path}: the cache cannot be used ({fault})",
                "delete the file, or run with --no-cache, or name another folder: --cache-dir",
            ) from fault

    def get(self, key: str) -> bytes | None:
        """The value that was put; None if there is none, or it is damaged."""
        return self._guarded(lambda: self._get(key))

    def put(self, key: str, value: bytes) -> None:
        """Keep a value, unless it alone is larger than the limit."""
        if len(value) <= self.limit_bytes:
            self._guarded(lambda: self._put(key, value))

    def discard(self, key: str) -> None:
        """What was got makes no sense: drop it, and count it as damaged instead of as a hit."""
        self.hits -= 1
        self._guarded(lambda: self._drop_damaged(key))

    def _get(self, key: str) -> bytes | None:
        # in a damaged file a value may be of any type
        query = "SELECT CAST(value AS BLOB), CAST(digest AS BLOB) FROM entries WHERE key = ?"
        row = self._db.execute(query, (key,)).fetchone()
        if row is None:
            self.misses += 1
            return None
        value, digest = row
        if value is None or hashlib.sha256(value).digest() != digest:
            self._drop_damaged(key)
            return None
        self.hits += 1
        self._touched[key] = time.time()
        return bytes(value)

    def _drop_damaged(self, key: str) -> None:
        self.damaged += 1
        self.misses += 1
        self._touched.pop(key, None)
        self._db.execute("DELETE FROM entries WHERE key = ?", (key,))
        self._size = self._total()

    def _put(self, key: str, value: bytes) -> None:
        digest = hashlib.sha256(value).digest()
        old = self._db.execute("SELECT CAST(size AS INTEGER) FROM entries WHERE key = ?", (key,)).fetchone()
        row = (key, value, digest, len(value), time.time())
        self._db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", row)
        self._size += len(value) - (old[0] or 0 if old else 0)
        if self._size > self.limit_bytes:
            self._shrink()

    def info(self) -> CacheInfo:
        with self._lock:
            self._write_usage()
            (entries,) = self._db.execute("SELECT COUNT(*) FROM entries").fetchone()
            size = self._total()
            counts = dict(self._db.execute("SELECT name, CAST(value AS INTEGER) FROM counters").fetchall())
        hits, misses, damaged = (counts.get(name) or 0 for name in COUNTERS)
        return CacheInfo(self.path, entries, size, self.limit_bytes, hits, misses, damaged)

    def clear(self) -> int:
        """Drop all entries. Returns their number."""
        with self._lock:
            dropped = self._db.execute("DELETE FROM entries").rowcount
            self._db.execute("DELETE FROM counters")
            self._db.execute("VACUUM")
            self.hits = self.misses = self.damaged = 0
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
            rows = self._db.execute("SELECT key, CAST(value AS BLOB), CAST(digest AS BLOB) FROM entries")
            wrong = [key for key, value, digest in rows if hashlib.sha256(value or b"").digest() != digest]
            self._db.executemany("DELETE FROM entries WHERE key = ?", [(key,) for key in wrong])
            self._size = self._total()
        return wrong

    def close(self) -> None:
        with contextlib.suppress(*FAULTS), self._lock:
            self._write_usage()
        self._db.close()

    def _guarded(self, work: Callable[[], Out]) -> Out | None:
        """Faults of the database are not the work's: it goes on without a cache for a while."""
        with self._lock:
            now_s = time.monotonic()
            if self._retry_s is not None and now_s < self._retry_s:
                return None
            try:
                if now_s - self._written_s > USAGE_S:
                    self._write_usage()
                done = work()
            except FAULTS as fault:
                if self._retry_s is None:
                    logger.warning("%s: the cache is not used for now: %s", self.path, fault)
                self._retry_s = time.monotonic() + RETRY_S
                return None
            if self._retry_s is not None:
                logger.warning("%s: the cache is used again", self.path)
                self._retry_s = None
            return done

    def _shrink(self) -> None:
        self._write_usage()
        self._size = self._total()  # others may have written
        excess = self._size - int(KEPT_SHARE * self.limit_bytes)
        old: list[tuple[str]] = []
        for key, size in self._db.execute("SELECT key, CAST(size AS INTEGER) FROM entries ORDER BY used"):
            if excess <= 0:
                break
            old.append((key,))
            excess -= size or 0
        self._db.executemany("DELETE FROM entries WHERE key = ?", old)
        self._size = self._total()

    def _write_usage(self) -> None:
        self._written_s = time.monotonic()
        self._db.executemany("UPDATE entries SET used = ? WHERE key = ?", [(t, k) for k, t in self._touched.items()])
        self._touched.clear()
        for name, count in zip(COUNTERS, (self.hits, self.misses, self.damaged), strict=True):
            self._db.execute(
                "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (name, count - self._counted.get(name, 0)),
            )
            self._counted[name] = count

    def _total(self) -> int:
        return int(self._db.execute("SELECT COALESCE(SUM(CAST(size AS INTEGER)), 0) FROM entries").fetchone()[0])
