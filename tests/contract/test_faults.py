"""Every decode backend whose engine fails, behind the dispatcher: nothing ends, and what can be decoded is."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cohear_server.core.jobs import DecodeJob, DecodeResult
from cohear_server.engine.backend import DecodeBackend
from cohear_server.engine.cache import Cache
from cohear_server.engine.cached import CachedBackend
from cohear_server.engine.local import LocalBackend
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.results import Results
from cohear_server.engine.tiers import TieredBackend
from cohear_server.scheduling.dispatcher import Dispatcher, JobTimes
from cohear_server.scheduling.scheduler import Scheduler, SchedulerOptions
from cohear_testing.fake import FAKE_MODEL, FakeBackend, FakeOptions

from .test_backend import LOCAL, MODEL, job, sound

PATIENCE_S = 1.0
BOUND_S = 60.0
"""in which everything here has happened, on a busy machine too"""


@dataclass
class Broken:
    """A backend, and the engine inside it, which can be broken and mended."""

    backend: DecodeBackend
    breaks: Callable[[str], None]
    mends: Callable[[], None]


@pytest.fixture(
    params=[
        *("fake", "cached fake", "main of two", "smaller of two"),
        *(pytest.param(name, marks=LOCAL) for name in ("local", "cached local")),
    ]
)
async def broken(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Broken]:
    inner: FakeBackend | LocalBackend
    if "local" in request.param:
        folder: Path = request.getfixturevalue("tiny_en_dir")
        options = EngineOptions("tiny.en", folder, device="cpu", compute_type="int8", threads=1, workers=1)
        inner = LocalBackend(options)
    else:
        inner = FakeBackend(FakeOptions(model=replace(FAKE_MODEL, name=MODEL)))
    made: DecodeBackend = inner
    if "of two" in request.param:
        other = FakeBackend(FakeOptions(model=replace(FAKE_MODEL, name="another")))
        made = TieredBackend(inner, other) if request.param == "main of two" else TieredBackend(other, inner)
    if "cached" in request.param:
        made = CachedBackend(made, Results(Cache(tmp_path), "the model"))
    await made.start()
    found = of_fake(made, inner.options) if isinstance(inner, FakeBackend) else of_local(made, inner)
    yield found
    found.mends()
    await made.aclose()


def of_fake(backend: DecodeBackend, options: FakeOptions) -> Broken:
    def breaks(how: str) -> None:
        options.raises = RuntimeError("the engine exploded") if how == "raises" else None
        options.hangs = how == "hangs"
        options.answer = (lambda results: results[:-1]) if how == "too few" else FakeOptions().answer

    return Broken(backend, breaks, lambda: breaks("nothing"))


def of_local(backend: DecodeBackend, local: LocalBackend) -> Broken:
    engine: Any = local._engine
    whole, hangs = engine.decode, threading.Event()

    def decode(how: str, batch: list[DecodeJob]) -> list[DecodeResult]:
        if how == "raises":
            raise RuntimeError("the engine exploded")
        if how == "hangs":
            hangs.wait(BOUND_S)
        results: list[DecodeResult] = whole(batch)
        return results[:-1] if how == "too few" else results

    def mends() -> None:
        engine.decode = whole
        hangs.set()

    def breaks(how: str) -> None:
        hangs.clear()
        engine.decode = lambda batch: decode(how, batch)

    return Broken(backend, breaks, mends)


class Told:
    """What was delivered."""

    def __init__(self) -> None:
        self.results: dict[str, DecodeResult] = {}

    def __call__(self, result: DecodeResult, times: JobTimes) -> None:
        assert result.job_id not in self.results, "delivered twice"
        self.results[result.job_id] = result

    def lost(self) -> list[str]:
        return sorted(name for name, result in self.results.items() if result.error is not None)


@contextlib.asynccontextmanager
async def dispatching(backend: DecodeBackend) -> AsyncIterator[Dispatcher]:
    policy = Scheduler(SchedulerOptions())
    dispatcher = Dispatcher(backend, policy, time.monotonic, patience=lambda batch: PATIENCE_S)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(dispatcher.run())
        yield dispatcher
        running.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 (the condition has no event)
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", ["raises", "too few", "hangs"])
async def test_a_fault_that_passes_costs_no_text(broken: Broken, how: str) -> None:
    told = Told()
    async with dispatching(broken.backend) as dispatcher:
        broken.breaks(how)
        for name in "ab":
            dispatcher.submit(job(sound(1, ord(name)), name), told)
        await until(lambda: bool(dispatcher.health.fault))
        broken.mends()
        await until(lambda: len(told.results) == 2)
        assert told.lost() == []
        await until(lambda: dispatcher.health.up and dispatcher.hung == 0)


@pytest.mark.parametrize("how", ["raises", "too few", "hangs"])
async def test_an_engine_that_is_dead_is_told_and_noticed_when_it_is_back(broken: Broken, how: str) -> None:
    told = Told()
    async with dispatching(broken.backend) as dispatcher:
        broken.breaks(how)
        for name in "ab":
            dispatcher.submit(job(sound(1, ord(name)), name), told)
        await until(lambda: len(told.results) == 2)
        assert told.lost() == ["a", "b"]
        await until(lambda: not dispatcher.health.up)
        broken.mends()
        await until(lambda: dispatcher.health.up)
        dispatcher.submit(job(sound(1), "c"), told)
        await until(lambda: "c" in told.results)
        assert told.lost() == ["a", "b"]
