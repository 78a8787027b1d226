from __future__ import annotations

import threading

from cohear_server.engine.heap import HeapKeeper


def test_large_blocks_are_one_worker_s_at_a_time() -> None:
    heap = HeapKeeper(2)
    entered = threading.Event()

    def enter() -> None:
        with heap.large_blocks():
            entered.set()

    with heap.large_blocks():
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.1)
    other.join()
    assert entered.is_set()


def test_free_pages_go_back_only_when_the_process_is_large() -> None:
    trims: list[int] = []
    for workers, times in ((100_000, 0), (-100_000, 1)):
        heap = HeapKeeper(workers)
        heap._trim = trims.append
        heap.batch_done()
        assert len(trims) == times
