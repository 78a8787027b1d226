from __future__ import annotations

import contextlib
import functools
import sqlite3
import tempfile
import threading
from pathlib import Path

import pytest
from cohear_server.engine.cache import RETRY_S, Cache, key_of
from cohear_server.errors import ClientError
from hypothesis import given
from hypothesis import strategies as st


def test_what_was_put_is_there_and_counted(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.get("a") is None
    cache.put("a", b"one")
    assert cache.get("a") == b"one"
    cache.close()
    again = Cache(tmp_path)
    assert again.get("a") == b"one"
    info = again.info()
    assert (info.entries, info.size_bytes, info.hits, info.misses) == (1, 3, 2, 1)
    assert info.hit_rate == pytest.approx(2 / 3)
    assert again.clear() == 1
    assert again.get("a") is None


def test_the_least_recently_used_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = iter(range(1000))
    monkeypatch.setattr("time.time", lambda: float(next(now_s)))
    cache = Cache(tmp_path, limit_bytes=100)
    for name in "abcd":
        cache.put(name, bytes(25))
    assert cache.get("a") is not None
    cache.put("e", bytes(25))
    assert [name for name in "abcde" if cache.get(name) is not None] == ["a", "d", "e"]
    cache.put("huge", bytes(101))
    assert cache.get("huge") is None
    assert cache.info().size_bytes <= 100


def test_damaged_entries_are_not_given_and_verify_drops_them(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("a", b"one")
    cache.put("b", b"two")
    with sqlite3.connect(cache.path) as raw:
        raw.execute("UPDATE entries SET value = ? WHERE key = 'a'", (b"0ne",))
    raw.close()
    with sqlite3.connect(cache.path) as raw:
        raw.execute("UPDATE entries SET value = ? WHERE key = 'b'", (b"tw0",))
    raw.close()
    assert cache.get("a") is None
    assert cache.verify() == ["b"]
    assert cache.verify() == []
    info = cache.info()
    assert (info.entries, info.misses, info.damaged) == (0, 1, 1)


def test_a_file_that_is_no_cache_is_told_of_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "results.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ClientError, match="--no-cache"):
        Cache(tmp_path)


def test_a_fault_is_told_once_and_the_cache_used_again_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    monkeypatch.setattr("cohear_server.engine.cache.BUSY_S", 0.01)
    cache = Cache(tmp_path)
    cache.put("a", b"one")
    with contextlib.closing(sqlite3.connect(cache.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for n in range(3):
            cache.put(f"b{n}", b"two")
            now_s += 2 * RETRY_S
        other.execute("ROLLBACK")
    assert cache.get("a") == b"one"
    cache.put("c", b"three")
    assert cache.get("c") == b"three"
    assert [record.getMessage().partition(": ")[2][:27] for record in caplog.records] == [
        "the cache is not used for n",
        "the cache is used again",
    ]


def test_after_a_fault_it_is_left_alone_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    cache = Cache(tmp_path)
    cache.put("a", b"one")
    cache._db.execute("ALTER TABLE entries RENAME TO gone")
    assert cache.get("a") is None
    cache._db.execute("ALTER TABLE gone RENAME TO entries")
    assert cache.get("a") is None
    now_s = RETRY_S
    assert cache.get("a") == b"one"


VALUES = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(), st.binary(max_size=50))


@given(st.sampled_from(["value", "digest", "size", "used"]), VALUES)
def test_an_entry_damaged_in_any_way_is_a_miss_that_is_dropped_and_counted(column: str, damage: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder))
        cache.put("a", b"one")
        with contextlib.suppress(sqlite3.IntegrityError):
            cache._db.execute(f"UPDATE entries SET {column} = ? WHERE key = 'a'", (damage,))
        got = cache.get("a")
        assert got == b"one" or cache.info().damaged == 1
        cache.put("a", b"again")
        assert cache.get("a") == b"again"
        assert cache.info().entries == 1
        cache.close()


@functools.cache
def whole_file() -> bytes:
    """A cache of twenty entries."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder))
        for n in range(20):
            cache.put(f"key {n}", b"value %d" % n * 20)
        cache.close()
        return cache.path.read_bytes()


@given(st.integers(0, 2**31), st.binary(min_size=1, max_size=64))
def test_a_file_damaged_anywhere_raises_nothing_but_its_own_error(place: int, damage: bytes) -> None:
    whole = whole_file()
    at = place % len(whole)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.sqlite"
        path.write_bytes((whole[:at] + damage + whole[at + len(damage) :])[: len(whole)])
        try:
            cache = Cache(Path(folder))
        except ClientError:
            return
        for n in range(20):
            assert cache.get(f"key {n}") in (None, b"value %d" % n * 20)
            cache.put(f"key {n}", b"new")
        cache.close()


def test_many_threads_and_two_connections(tmp_path: Path) -> None:
    caches = [Cache(tmp_path), Cache(tmp_path)]

    def work(number: int) -> None:
        for n in range(50):
            caches[number % 2].put(f"{number}-{n}", b"x")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert caches[0].info().entries == 200


def test_keys_tell_parts_apart() -> None:
    assert len({key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of(b"ab", "c", "")}) == 4


def test_others_see_what_is_used_while_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    cache, other = Cache(tmp_path), Cache(tmp_path)
    cache.get("a")
    assert other.info().misses == 0
    now_s = 60.0
    cache.get("a")  # writes down the one before
    assert other.info().misses == 1
