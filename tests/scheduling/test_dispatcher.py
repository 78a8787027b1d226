"""The dispatcher over a fake engine on simulated time: minutes of load in milliseconds, always the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, JobKind, SecondTry
from cohear_server.scheduling.dispatcher import Dispatcher, JobTimes
from cohear_server.scheduling.scheduler import Scheduler, SchedulerOptions
from cohear_server.scheduling.throughput import ThroughputOptions, ThroughputScheduler
from cohear_testing.fake import FAULT_MARKER, FakeBackend, FakeOptions, ServiceTime
from cohear_testing.simclock import SimClock

PARTIAL, FINAL = JobKind.PARTIAL, JobKind.FINAL

Backend = TypeVar("Backend", bound=FakeBackend)


def job(job_id: str, session: str, kind: JobKind = PARTIAL, seconds: float = 2.0) -> DecodeJob:
    pcm = np.ones(int(seconds * SAMPLE_RATE_HZ), np.int16)
    deadline_s = 0.1 if kind is FINAL else 0.5
    return DecodeJob(job_id, session, "t", 0, pcm, kind, deadline_s, DecodeOptions("fake"))


class Log:
    def __init__(self) -> None:
        self.results: dict[str, tuple[DecodeResult, JobTimes]] = {}
        self.order: list[str] = []

    def __call__(self, result: DecodeResult, times: JobTimes) -> None:
        assert result.job_id not in self.results, "delivered twice"
        self.results[result.job_id] = (result, times)
        self.order.append(result.job_id)


@contextlib.asynccontextmanager
async def running(backend: Backend, clock: SimClock) -> AsyncIterator[tuple[Dispatcher, Backend]]:
    await backend.start()
    dispatcher = Dispatcher(backend, Scheduler(SchedulerOptions()), clock)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(dispatcher.run())
        yield dispatcher, backend
        task.cancel()
    await backend.aclose()


def dispatching(
    clock: SimClock, options: FakeOptions
) -> contextlib.AbstractAsyncContextManager[tuple[Dispatcher, FakeBackend]]:
    return running(FakeBackend(options), clock)


def test_an_idle_engine_starts_at_once() -> None:
    clock, log = SimClock(), Log()

    async def scenario() -> None:
        async with dispatching(clock, FakeOptions(service=ServiceTime(fixed_ms=100))) as (dispatcher, _):
            dispatcher.submit(job("a", "s1"), log)
            await asyncio.sleep(1)

    clock.run(scenario())
    result, times = log.results["a"]
    assert (times.submitted_s, times.batched_s, times.decoded_s) == pytest.approx((0.0, 0.0, 0.1))
    assert result.batch_size == 1


def test_what_gathers_while_the_engine_works_becomes_one_batch() -> None:
    clock, log = SimClock(), Log()

    async def scenario() -> FakeBackend:
        async with dispatching(clock, FakeOptions(service=ServiceTime(fixed_ms=100))) as (dispatcher, backend):
            for i in range(5):
                dispatcher.submit(job(f"j{i}", f"s{i}"), log)
                await asyncio.sleep(0.01)
            await asyncio.sleep(1)
            return backend

    backend = clock.run(scenario())
    assert [len(batch) for batch in backend.batches] == [1, 4]
    assert log.results["j4"][1].batched_s == pytest.approx(0.1)


def test_no_more_batches_in_the_engine_than_it_has_slots() -> None:
    clock, log = SimClock(), Log()

    async def scenario() -> None:
        options = FakeOptions(slots=2, service=ServiceTime(fixed_ms=100))
        async with dispatching(clock, options) as (dispatcher, _):
            for i in range(40):
                dispatcher.submit(job(f"j{i}", f"s{i}", seconds=25), log)
                await asyncio.sleep(0)
                assert dispatcher.decoding <= 2
            await asyncio.sleep(10)

    clock.run(scenario())
    assert len(log.results) == 40


def test_a_final_overtakes_partials_that_wait() -> None:
    clock, log = SimClock(), Log()

    async def scenario() -> None:
        async with dispatching(clock, FakeOptions(service=ServiceTime(per_job_ms=100))) as (dispatcher, _):
            dispatcher.submit(job("first", "s0"), log)
            await asyncio.sleep(0.01)
            for i in range(5):
                dispatcher.submit(job(f"p{i}", f"s{i + 1}"), log)
            dispatcher.submit(job("final", "s9", FINAL), log)
            await asyncio.sleep(2)

    clock.run(scenario())
    assert log.order[:2] == ["first", "final"]


def test_cancelled_and_replaced_jobs_are_not_delivered() -> None:
    clock, log = SimClock(), Log()

    async def scenario() -> None:
        async with dispatching(clock, FakeOptions(service=ServiceTime(fixed_ms=100))) as (dispatcher, _):
            dispatcher.submit(job("busy", "s0"), log)
            await asyncio.sleep(0.01)
            dispatcher.submit(job("old", "s1"), log)
            dispatcher.submit(job("new", "s1"), log)
            dispatcher.submit(job("gone", "s2", FINAL), log)
            dispatcher.cancel("gone", "s2")
            dispatcher.cancel("busy", "s0")
            await asyncio.sleep(1)

    clock.run(scenario())
    assert log.order == ["busy", "new"], "what is in the engine already cannot be taken back"


def test_a_bad_job_and_a_failing_stream_harm_no_other() -> None:
    clock, log = SimClock(), Log()

    def fails(result: DecodeResult, times: JobTimes) -> None:
        raise RuntimeError("this stream is broken")

    async def scenario() -> None:
        async with dispatching(clock, FakeOptions(service=ServiceTime(fixed_ms=100))) as (dispatcher, _):
            bad = job("bad", "s1")
            bad.pcm[: len(FAULT_MARKER)] = FAULT_MARKER
            dispatcher.submit(job("busy", "s0"), log)
            await asyncio.sleep(0.01)
            dispatcher.submit(bad, log)
            dispatcher.submit(job("broken", "s2"), fails)
            dispatcher.submit(job("good", "s3"), log)
            await asyncio.sleep(1)

    clock.run(scenario())
    assert log.results["bad"][0].error is not None
    assert log.results["good"][0].error is None


def test_an_engine_that_is_away_fails_its_jobs_and_comes_back() -> None:
    clock, log = SimClock(), Log()

    async def scenario() -> None:
        options = FakeOptions(service=ServiceTime(fixed_ms=100))
        async with dispatching(clock, options) as (dispatcher, _):
            options.unavailable = True
            dispatcher.submit(job("a", "s1"), log)
            await asyncio.sleep(1)
            options.unavailable = False
            dispatcher.submit(job("b", "s1"), log)
            await asyncio.sleep(1)

    clock.run(scenario())
    assert log.results["a"][0].error is not None
    assert log.results["b"][0].error is None


def test_under_double_load_every_final_comes_and_each_stream_gets_partials() -> None:
    """20 streams, a partial each 500 ms and a final each 4 s, on an engine that can do about half of it."""
    clock, log = SimClock(), Log()
    streams, seconds = 20, 60

    async def speak(dispatcher: Dispatcher, name: str, offset_s: float) -> None:
        await asyncio.sleep(offset_s)
        for i in range(2 * seconds):
            kind = FINAL if i % 8 == 7 else PARTIAL
            dispatcher.submit(job(f"{name}-{i}", name, kind), log)
            await asyncio.sleep(0.5)

    async def scenario() -> Dispatcher:
        async with dispatching(clock, FakeOptions(service=ServiceTime(per_job_ms=50))) as (dispatcher, _):
            async with asyncio.TaskGroup() as group:
                for n in range(streams):
                    group.create_task(speak(dispatcher, f"s{n}", n * 0.025))
            await asyncio.sleep(5)
            return dispatcher

    dispatcher = clock.run(scenario())
    finals = [f"s{n}-{i}" for n in range(streams) for i in range(7, 2 * seconds, 8)]
    assert set(finals) <= set(log.results)
    late_s = [log.results[f][1].decoded_s - log.results[f][1].submitted_s for f in finals]
    assert max(late_s) < 1.0, "finals do not queue behind partials"
    partials = [sum(k.startswith(f"s{n}-") for k in log.results) - seconds // 4 for n in range(streams)]
    assert min(partials) > 0.7 * max(partials), "no stream starves"
    assert isinstance(dispatcher.policy, Scheduler)
    assert dispatcher.policy.replaced > 0
    assert len(dispatcher.policy) == 0


def test_another_policy_decides_otherwise_and_is_asked_again_when_it_was_told_something() -> None:
    clock, log = SimClock(), Log()
    policy = ThroughputScheduler(ThroughputOptions(max_batch=2))

    async def scenario() -> list[list[str]]:
        backend = FakeBackend(FakeOptions(service=ServiceTime(fixed_ms=100)))
        await backend.start()
        dispatcher = Dispatcher(backend, policy, clock)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(dispatcher.run())
            for name in "abc":
                dispatcher.submit(job(name, "file", FINAL), log)
            await asyncio.sleep(1)
            assert "c" not in log.results, "it waits for another"
            policy.draining = True
            dispatcher.ask_again()
            await asyncio.sleep(1)
            task.cancel()
        return [[one.id for one in batch] for batch in backend.batches]

    assert clock.run(scenario()) == [["a", "b"], ["c"]]
    assert log.results["c"][1].decoded_s == pytest.approx(1.1)


def test_cancelling_tells_whether_it_was_in_time() -> None:
    clock, log = SimClock(), Log()

    async def scenario() -> list[bool]:
        async with dispatching(clock, FakeOptions(service=ServiceTime(fixed_ms=100))) as (dispatcher, _):
            dispatcher.submit(job("a", "s1", FINAL), log)
            dispatcher.submit(job("b", "s2", PARTIAL), log)
            await asyncio.sleep(0.05)
            cancelled = [dispatcher.cancel("a", "s1"), dispatcher.cancel("b", "s2")]
            await asyncio.sleep(1)
            return cancelled

    assert clock.run(scenario()) == [False, True]
    assert list(log.results) == ["a"]


class Doubting(FakeBackend):
    """Its first text of the jobs named is doubtful; so is each later one, up to `tries` of them."""

    def __init__(self, options: FakeOptions, doubted: frozenset[str], tries: int = 1) -> None:
        super().__init__(options)
        self.doubted, self.tries = doubted, tries

    async def decode(self, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        results = await super().decode(batch)
        return [self._doubt(job, result) for job, result in zip(batch, results, strict=True)]

    def _doubt(self, job: DecodeJob, result: DecodeResult) -> DecodeResult:
        done = job.second_try.tries if job.second_try else 0
        text = f"try {done}"
        if job.id not in self.doubted or done >= self.tries:
            return replace(result, text=text)
        return replace(result, text=text, again=SecondTry(replace(result, text=text), done + 1, padded=True))


def doubting(
    clock: SimClock, *doubted: str, tries: int = 1
) -> contextlib.AbstractAsyncContextManager[tuple[Dispatcher, Doubting]]:
    return running(Doubting(FakeOptions(service=ServiceTime(fixed_ms=100)), frozenset(doubted), tries), clock)


def test_a_second_try_does_not_hold_up_its_neighbours() -> None:
    clock, log = SimClock(), Log()

    async def scenario() -> Doubting:
        async with doubting(clock, "b", tries=2) as (dispatcher, backend):
            for name in "abc":
                dispatcher.submit(job(name, name, FINAL), log)
            await asyncio.sleep(2)
            return backend

    backend = clock.run(scenario())
    assert [[one.id for one in batch] for batch in backend.batches] == [["a", "b", "c"], ["b"], ["b"]]
    assert log.order == ["a", "c", "b"]
    assert [log.results[name][1].decoded_s for name in "acb"] == pytest.approx([0.1, 0.1, 0.3])
    assert log.results["b"][0].text == "try 2"
    assert log.results["b"][1].submitted_s == 0.0, "its latency counts from the first try"


def test_second_tries_and_first_ones_do_not_share_a_batch() -> None:
    clock, log = SimClock(), Log()

    async def scenario() -> Doubting:
        async with doubting(clock, "a") as (dispatcher, backend):
            dispatcher.submit(job("a", "a", FINAL), log)
            await asyncio.sleep(0.05)
            dispatcher.submit(job("b", "b", FINAL), log)
            await asyncio.sleep(2)
            return backend

    assert sorted(len(batch) for batch in clock.run(scenario()).batches) == [1, 1, 1]


@pytest.mark.parametrize(("when_s", "tries"), [(0.05, 1), (0.15, 2)], ids=["during the first", "during the second"])
def test_a_job_that_nobody_wants_any_more_is_not_tried_again(when_s: float, tries: int) -> None:
    clock, log = SimClock(), Log()

    async def scenario() -> Doubting:
        async with doubting(clock, "a", tries=9) as (dispatcher, backend):
            dispatcher.submit(job("a", "a", FINAL), log)
            await asyncio.sleep(when_s)
            assert not dispatcher.cancel("a", "a")
            await asyncio.sleep(2)
            return backend

    backend = clock.run(scenario())
    assert len(backend.batches) == tries
    assert log.order == ["a"]


def test_a_second_try_that_waits_can_be_cancelled() -> None:
    clock, log = SimClock(), Log()

    async def scenario() -> None:
        async with doubting(clock, "a") as (dispatcher, _):
            dispatcher.submit(job("a", "a", FINAL), log)
            await asyncio.sleep(0.05)
            dispatcher.submit(replace(job("b", "b", FINAL), deadline_s=0.0), log)  # goes before it
            await asyncio.sleep(0.1)
            assert dispatcher.cancel("a", "a")
            await asyncio.sleep(2)

    clock.run(scenario())
    assert log.order == ["b"]


def test_a_failed_second_try_leaves_the_first_text() -> None:
    clock, log = SimClock(), Log()

    async def scenario() -> None:
        async with doubting(clock, "a") as (dispatcher, backend):
            dispatcher.submit(job("a", "a", FINAL), log)
            await asyncio.sleep(0.15)
            backend.options.unavailable = True
            await asyncio.sleep(2)

    clock.run(scenario())
    result = log.results["a"][0]
    assert (result.error, result.text) == (None, "try 0")


def test_the_slot_of_a_window_is_given_up_once() -> None:
    clock, log = SimClock(), Log()
    begun: list[str] = []

    async def scenario() -> None:
        async with doubting(clock, "a", tries=3) as (dispatcher, _):
            dispatcher.submit(job("a", "a", FINAL), log, begun.append)
            await asyncio.sleep(2)

    clock.run(scenario())
    assert begun == ["a"]
