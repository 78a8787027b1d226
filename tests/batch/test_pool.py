from __future__ import annotations

import threading

from cohear_server.batch.pool import Pool, PoolOptions
from hypothesis import given, settings
from hypothesis import strategies as st


def test_a_full_lane_goes_and_the_rest_waits_for_mates() -> None:
    pool: Pool[int] = Pool(PoolOptions(capacity=10, max_batch=3))
    for n, lane in enumerate("abaa"):
        pool.put(lane, n)
    assert pool.take() == [0, 2, 3]
    pool.done()
    pool.flush()
    assert pool.take() == [1]
    pool.done()
    pool.end()
    assert pool.take() == []


def test_a_lane_whose_windows_say_so_takes_fewer() -> None:
    pool: Pool[str] = Pool(PoolOptions(capacity=20, max_batch=3), lambda item: 2 if item == "long" else None)
    for lane in ("long", "short", "short", "long", "long", "short"):
        pool.put(lane, lane)
    assert sorted([pool.take(), pool.take()]) == [["long"] * 2, ["short"] * 3]
    for _ in range(2):
        pool.done()
    pool.end()
    assert pool.take() == ["long"]


def test_what_is_left_is_shared_out_evenly() -> None:
    pool: Pool[int] = Pool(PoolOptions(capacity=20, max_batch=8, workers=2))
    for n in range(6):
        pool.put("a", n)
    pool.end()
    assert [len(pool.take()), len(pool.take())] == [3, 2]


def test_a_lonely_window_is_not_passed_by_for_ever() -> None:
    pool: Pool[str] = Pool(PoolOptions(capacity=100, max_batch=2, patience=3))
    pool.put("rare", "lonely")
    taken = []
    for _ in range(5):
        pool.put("common", "x")
        pool.put("common", "x")
        taken.append(pool.take())
        pool.done()
    assert taken[3] == ["lonely"]


def test_whoever_reads_waits_while_it_is_full() -> None:
    pool: Pool[int] = Pool(PoolOptions(capacity=2, max_batch=2))
    put: list[bool] = []
    third = threading.Thread(target=lambda: put.extend([pool.put("a", n) for n in range(3)]))
    third.start()
    assert pool.take() == [0, 1]
    third.join()
    assert put == [True] * 3
    pool.close()
    assert pool.put("a", 4) is False
    assert pool.take() == []


def test_the_end_waits_for_windows_that_come_back() -> None:
    pool: Pool[int] = Pool(PoolOptions(capacity=4, max_batch=4))
    pool.put("a", 1)
    pool.end()
    assert pool.take() == [1]
    rest: list[list[int]] = []
    waiting = threading.Thread(target=lambda: rest.append(pool.take()))
    waiting.start()
    pool.put_back("b", 1)
    pool.done()
    waiting.join()
    assert rest == [[1]]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=80), st.integers(1, 5), st.integers(1, 3))
def test_everything_that_is_put_is_taken_once(lanes: list[int], max_batch: int, workers: int) -> None:
    pool: Pool[int] = Pool(PoolOptions(capacity=max_batch * 2, max_batch=max_batch, workers=workers))
    taken: list[list[int]] = []

    def work() -> None:
        while batch := pool.take():
            taken.append(batch)
            pool.done()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for n, lane in enumerate(lanes):
        pool.put(lane, n)
    pool.end()
    for thread in threads:
        thread.join()
    assert sorted(n for batch in taken for n in batch) == list(range(len(lanes)))
    assert all(len(batch) <= max_batch and len({lanes[n] for n in batch}) == 1 for batch in taken)
