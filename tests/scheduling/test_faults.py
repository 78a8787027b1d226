"""The dispatcher over a backend that fails in every way: it goes on, tells what is lost, and knows when it is back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from cohear_server.core.jobs import DecodeJob, DecodeResult, JobKind
from cohear_server.errors import BackendUnavailable
from cohear_server.scheduling.answers import in_order
from cohear_server.scheduling.dispatcher import PAUSE_S, DecodedBatch, Dispatcher
from cohear_server.scheduling.scheduler import Scheduler, SchedulerOptions
from cohear_testing.fake import FAULT_MARKER, FakeBackend, FakeOptions, ServiceTime
from cohear_testing.simclock import SimClock

from .test_dispatcher import FINAL, PARTIAL, Log, job

PATIENCE_S = 5.0
LONG_S = 20.0
"""in which all tries are over"""


class Bench:
    """A dispatcher at work, on simulated time."""

    def __init__(self, clock: SimClock, options: FakeOptions) -> None:
        self.options = options
        self.backend = FakeBackend(options)
        self.log = Log()
        self.observed: list[DecodedBatch] = []
        self.dispatcher = Dispatcher(
            self.backend, Scheduler(SchedulerOptions()), clock, (self._fails, self.observed.append), self._patience
        )

    def submit(self, *jobs: DecodeJob) -> None:
        for one in jobs:
            self.dispatcher.submit(one, self.log)

    def tries(self) -> list[list[str]]:
        """Ids of each call, without probes."""
        return [[one.id for one in batch] for batch in self.backend.batches if batch[0].id != "probe"]

    def lost(self) -> set[str]:
        return {name for name, (result, _) in self.log.results.items() if result.error is not None}

    def _fails(self, batch: DecodedBatch) -> None:
        raise RuntimeError("this observer is broken")

    def _patience(self, batch: object) -> float:
        return PATIENCE_S


@contextlib.asynccontextmanager
async def at_work(clock: SimClock, slots: int = 1) -> AsyncIterator[Bench]:
    bench = Bench(clock, FakeOptions(slots=slots, service=ServiceTime(fixed_ms=100)))
    await bench.backend.start()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.dispatcher.run())
        await asyncio.sleep(0)
        yield bench
        task.cancel()


def breaks(options: FakeOptions, how: str) -> None:
    match how:
        case "unavailable":
            options.unavailable = True
        case "raises":
            options.raises = RuntimeError("the engine exploded")
        case "gives up":
            options.raises = asyncio.CancelledError()
        case "hangs":
            options.hangs = True
        case "too few":
            options.answer = lambda results: results[:-1]
        case "too many":
            options.answer = lambda results: [*results, results[0]]
        case "one twice":
            options.answer = lambda results: [results[0]] * len(results) + results[:1]
        case "others'":
            options.answer = lambda results: [DecodeResult("somebody else's") for _ in results]
        case "nothing":
            options.answer = lambda results: None
        case "no results":
            options.answer = lambda results: ["text" for _ in results]


def mends(options: FakeOptions) -> None:
    whole = FakeOptions()
    options.unavailable, options.raises, options.hangs, options.answer = False, None, False, whole.answer


FAULTS = ["unavailable", "raises", "gives up", "too few", "too many", "one twice", "others'", "nothing", "no results"]


@pytest.mark.parametrize("how", [*FAULTS, "hangs"])
def test_a_fault_that_passes_loses_no_final(how: str) -> None:
    clock = SimClock()

    async def scenario() -> Bench:
        async with at_work(clock) as bench:
            breaks(bench.options, how)
            bench.submit(job("a", "s1", FINAL), job("b", "s2", FINAL))
            await asyncio.sleep(0.2 if how != "hangs" else PATIENCE_S + 0.1)
            mends(bench.options)
            await asyncio.sleep(LONG_S)
            bench.submit(job("c", "s3", FINAL))
            await asyncio.sleep(1)
            return bench

    bench = clock.run(scenario())
    assert set(bench.log.results) == {"a", "b", "c"}
    assert bench.lost() == set()


@pytest.mark.parametrize("how", FAULTS)
def test_a_fault_that_stays_ends_nothing_and_each_job_is_told(how: str) -> None:
    clock = SimClock()

    async def scenario() -> Bench:
        async with at_work(clock) as bench:
            breaks(bench.options, how)
            bench.submit(job("a", "s1", FINAL), job("b", "s2", FINAL), job("p", "s3", PARTIAL))
            await asyncio.sleep(LONG_S)
            assert bench.lost() == {"a", "b", "p"}
            mends(bench.options)
            await asyncio.sleep(1)
            bench.submit(job("c", "s1", FINAL))
            await asyncio.sleep(1)
            return bench

    bench = clock.run(scenario())
    assert bench.lost() == {"a", "b", "p"}
    finals = [names for names in bench.tries() if "p" not in names]
    assert finals == [["a", "b"], ["a", "b"], ["a"], ["b"], ["a"], ["b"], ["c"]], "twice together, then twice alone"
    assert bench.tries().count(["p"]) == 1, "a partial is given up at once"
    assert len(bench.observed) == 1


def test_one_bad_window_is_lost_alone() -> None:
    clock = SimClock()

    async def scenario() -> Bench:
        async with at_work(clock) as bench:
            bad = job("bad", "s1", FINAL)
            bad.pcm[: len(FAULT_MARKER)] = FAULT_MARKER
            bench.submit(bad, job("good", "s2", FINAL))
            await asyncio.sleep(LONG_S)
            return bench

    bench = clock.run(scenario())
    assert bench.lost() == {"bad"}
    assert bench.tries() == [["bad", "good"], ["bad"]]
    assert bench.log.order[0] == "good", "it does not wait for the other's second try"
    assert bench.dispatcher.health.up


def test_results_in_another_order_go_to_those_who_asked() -> None:
    clock = SimClock()

    async def scenario() -> Bench:
        async with at_work(clock) as bench:
            bench.options.answer = lambda results: results[::-1]
            bench.submit(*(job(name, name, FINAL, seconds) for name, seconds in (("a", 1.0), ("b", 2.0), ("c", 3.0))))
            await asyncio.sleep(1)
            return bench

    bench = clock.run(scenario())
    assert {name: len(result.words) for name, (result, _) in bench.log.results.items()} == {"a": 2, "b": 4, "c": 6}


def test_it_is_down_after_failures_in_a_row_and_up_again_by_a_probe() -> None:
    clock = SimClock()

    async def scenario() -> None:
        async with at_work(clock) as bench:
            assert bench.dispatcher.health.up
            breaks(bench.options, "raises")
            for name in "abc":
                bench.submit(job(name, name, FINAL))
                await asyncio.sleep(0.3)
            await asyncio.sleep(LONG_S)
            down = bench.dispatcher.health
            assert not down.up
            assert 0 < down.since_s < 2
            assert "exploded" in down.fault
            probes = sum(batch[0].id == "probe" for batch in bench.backend.batches)
            assert 10 < probes < LONG_S / PAUSE_S, "it is asked again and again, and not in a rush"
            mends(bench.options)
            await asyncio.sleep(1)
            back = bench.dispatcher.health
            assert (back.up, back.since_s > LONG_S) == (True, True)
            before = len(bench.backend.batches)
            await asyncio.sleep(5)
            assert len(bench.backend.batches) == before, "no probes to a backend that is up"

    clock.run(scenario())


def test_a_call_that_hangs_keeps_its_slot_and_gives_it_back() -> None:
    clock = SimClock()

    async def scenario() -> None:
        async with at_work(clock, slots=2) as bench:
            breaks(bench.options, "hangs")
            bench.submit(*(job(name, name, FINAL) for name in "abc"))
            await asyncio.sleep(PATIENCE_S + 0.1)
            assert bench.dispatcher.hung == 1, "the three finals were one batch"
            await asyncio.sleep(2 * PATIENCE_S)
            assert bench.dispatcher.hung == 2
            assert bench.dispatcher.decoding == 0
            assert not bench.dispatcher.health.up
            await asyncio.sleep(LONG_S)
            assert bench.lost() == {"a", "b", "c"}, "no slot is left: nobody waits for ever"
            assert len(bench.backend.batches) == 2, "never more calls than slots"
            bench.submit(job("d", "d", FINAL))
            await asyncio.sleep(0.1)
            mends(bench.options)
            await asyncio.sleep(2)
            assert (bench.dispatcher.hung, bench.dispatcher.health.up) == (0, True)
            assert bench.log.results["d"][0].error is None
            assert set(bench.log.results) == set("abcd"), "what a hung call says late is not told again"

    clock.run(scenario())


def test_one_slot_that_hangs_leaves_the_other_at_work() -> None:
    clock = SimClock()

    async def scenario() -> None:
        async with at_work(clock, slots=2) as bench:
            calls: list[list[DecodeJob]] = []
            decode = bench.backend.decode

            async def first_hangs(batch: list[DecodeJob]) -> list[DecodeResult]:
                calls.append(batch)
                if len(calls) == 1:
                    await asyncio.Event().wait()
                return await decode(batch)

            bench.backend.decode = first_hangs  # type: ignore[method-assign, assignment]
            bench.submit(job("a", "s1", FINAL))
            await asyncio.sleep(0.01)
            for i in range(100):
                bench.submit(job(f"f{i}", "s2", FINAL))
                await asyncio.sleep(0.2)
            assert bench.dispatcher.health.up
            assert bench.dispatcher.hung == 1
            assert bench.lost() == set()
            assert len(bench.log.results) == 101

    clock.run(scenario())


def test_an_observer_or_a_stream_that_raises_is_contained() -> None:
    clock = SimClock()

    def fails(job_id: str) -> None:
        raise RuntimeError("this stream is broken")

    async def scenario() -> Bench:
        async with at_work(clock) as bench:
            bench.dispatcher.submit(job("a", "s1"), bench.log, fails)
            await asyncio.sleep(1)
            return bench

    bench = clock.run(scenario())
    assert list(bench.log.results) == ["a"]
    assert [[one.id for one in batch.jobs] for batch in bench.observed] == [["a"]], "the one behind it was told"


def test_leaving_waits_for_no_call_that_hangs() -> None:
    clock = SimClock()

    async def scenario() -> None:
        async with at_work(clock) as bench:
            breaks(bench.options, "hangs")
            bench.submit(job("a", "s1", FINAL))
            await asyncio.sleep(1)

    clock.run(scenario())
    assert clock() < 2


@pytest.mark.parametrize(
    "answer", [lambda results: results[:1], lambda results: {"a": 1}, lambda results: [results[0], results[0]]]
)
def test_an_answer_is_one_result_a_job(answer: Callable[[list[DecodeResult]], object]) -> None:
    jobs = [job("a", "s1"), job("b", "s2")]
    with pytest.raises(BackendUnavailable):
        in_order(jobs, answer([DecodeResult("a"), DecodeResult("b")]))


def test_a_probe_is_small_and_like_the_work() -> None:
    clock = SimClock()

    async def scenario() -> Bench:
        async with at_work(clock) as bench:
            breaks(bench.options, "raises")
            bench.submit(job("a", "s1", FINAL, 8.0), job("b", "s2", FINAL, 8.0))
            await asyncio.sleep(LONG_S)
            return bench

    bench = clock.run(scenario())
    (probe,) = next(batch for batch in bench.backend.batches if batch[0].id == "probe")
    assert probe.kind is JobKind.PARTIAL
    assert len(probe.pcm) < 2 * 16_000
    assert probe.options.model == "fake"
