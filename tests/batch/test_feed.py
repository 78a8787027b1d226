"""The dispatcher in its thread, fed from this one."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from cohear_server.batch.feed import Feed
from cohear_server.core.jobs import DecodeJob, DecodeOptions, DecodeResult, JobKind
from cohear_server.errors import ClientError
from cohear_server.scheduling.throughput import ThroughputOptions

from .audio import Echo


def job(seconds: float = 1.0) -> DecodeJob:
    pcm = np.ones(int(seconds * 16_000), np.int16)
    return DecodeJob("", "file", "", 0, pcm, JobKind.FINAL, math.inf, DecodeOptions("echo", "en"))


@contextlib.contextmanager
def running(backend: Echo, **options: int) -> Iterator[Feed]:
    """Ended and joined on leaving."""
    feed = Feed(backend, ThroughputOptions(**options))
    thread = threading.Thread(target=feed.run)
    thread.start()
    try:
        feed.start()
        yield feed
    finally:
        feed.end()
        thread.join()


def test_all_that_was_submitted_is_delivered_before_it_ends() -> None:
    backend, heard = Echo(), list[str]()

    def deliver(result: DecodeResult) -> None:
        heard.append(result.text)

    with running(backend) as feed:
        for n in range(5):
            assert feed.enter()
            feed.hand_over(partial(feed.submit, job(1 + n / 10), deliver))
    assert sorted(heard) == ["w1.0", "w1.1", "w1.2", "w1.3", "w1.4"]
    assert backend.closed == 1


def test_what_is_submitted_by_a_result_is_delivered_too() -> None:
    heard: list[str] = []
    with running(Echo()) as feed:

        def once_more(result: DecodeResult) -> None:
            heard.append(result.text)
            feed.submit(job(2.0), lambda result: heard.append(result.text))

        feed.enter()
        feed.hand_over(partial(feed.submit, job(), once_more))
    assert heard == ["w1.0", "w2.0"]


def test_whoever_hands_over_waits_while_there_is_no_room() -> None:
    backend = Echo()
    with running(backend, capacity=2, max_batch=4) as feed:

        def hand_over() -> None:
            for _ in range(3):
                feed.enter()
                feed.hand_over(partial(feed.submit, job(), lambda result: None))

        reader = threading.Thread(target=hand_over)
        reader.start()
        reader.join()  # it ends: with as many as may wait the batch goes, and there is room again
    assert [len(batch) for batch in backend.batches] == [2, 1]


def test_closing_lets_go_whoever_waits_for_room() -> None:
    backend, answers = Echo(slots=0), list[bool]()
    with running(backend, capacity=1) as feed:
        feed.enter()
        feed.hand_over(partial(feed.submit, job(), lambda result: None))
        waiting = threading.Thread(target=lambda: answers.append(feed.enter()))
        waiting.start()
        feed.close()
        waiting.join()
    assert answers == [False]
    assert backend.batches == []


def test_a_window_that_others_wait_for_goes_before_its_batch_is_full() -> None:
    backend, done = Echo(), threading.Event()
    with running(backend, max_batch=8) as feed:
        feed.enter()

        def hurry() -> None:
            feed.hurry(feed.submit(job(), lambda result: done.set()))

        feed.hand_over(hurry)
        assert done.wait(10)
    assert [one.deadline_s for one in backend.jobs] == [0.0]


def test_start_raises_what_the_backend_raises() -> None:
    backend = Echo()
    backend.refusal = ClientError("bad_model", "none")
    with pytest.raises(ClientError, match="none"), running(backend):
        pass
    assert backend.closed == 1
