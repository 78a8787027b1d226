from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from cohear_server.engine.cache import Cache, key_of
from cohear_server.errors import ClientError


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
    assert cache.get("a") is None
    assert cache.verify() == ["a"]
    assert cache.verify() == []
    assert cache.info().entries == 1


def test_a_file_that_is_no_cache_is_told_of_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "results.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ClientError, match="--no-cache"):
        Cache(tmp_path)


def test_faults_while_it_is_used_end_its_use_and_nothing_else(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache._db.execute("DROP TABLE entries")
    cache.put("a", b"one")
    assert cache.get("a") is None


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
