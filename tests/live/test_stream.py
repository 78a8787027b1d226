"""A stream between its session and the dispatcher; what clients see of it is in `test_connection` and `test_resume`."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest
from cohear_server.core.audio import AudioFormat
from cohear_server.core.events import Done
from cohear_server.core.jobs import DecodeJob, DecodeOptions, JobKind
from cohear_server.core.options import SessionOptions
from cohear_server.core.session import Session
from cohear_server.live.pace import Turns
from cohear_server.live.stream import Shared, Stream
from cohear_server.scheduling.dispatcher import Dispatcher
from cohear_server.scheduling.scheduler import Scheduler, SchedulerOptions
from cohear_testing.fake import FakeBackend, FakeOptions, ServiceTime
from cohear_testing.simclock import SimClock

from ..serving import burst, quiet

FRAME_BYTES = 640


def shared(dispatcher: Dispatcher, clock: Callable[[], float]) -> Shared:
    return Shared(dispatcher, clock, Turns(clock))


class Live:
    """A stream and an engine that decodes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.dispatcher = Dispatcher(FakeBackend(), Scheduler(SchedulerOptions()), lambda: self.now_s)
        self.session = Session("s", AudioFormat(), DecodeOptions("fake"), SessionOptions(vad="energy"))
        self.stream = Stream(self.session, shared(self.dispatcher, lambda: self.now_s))

    def hear(self, audio: bytes, frame_s: float) -> None:
        for at in range(0, len(audio), int(frame_s * 32_000)):
            piece = audio[at : at + int(frame_s * 32_000)]
            self.now_s += len(piece) / 32_000
            self.stream.receive(piece, self.now_s)

    @property
    def waiting(self) -> dict[JobKind, int]:
        return self.dispatcher.policy.depth()


def test_a_final_that_was_taken_back_in_the_same_frame_is_not_decoded() -> None:
    live = Live()
    live.hear(quiet(0.5) + burst(1.0) + quiet(0.3) + burst(0.2), frame_s=2.0)
    assert live.waiting[JobKind.FINAL] == 0, "the pause was none"


@pytest.mark.parametrize("frame_s", [0.02, 0.3, 1.0])
def test_no_trace_of_a_job_outlives_it(frame_s: float) -> None:
    clock = SimClock()

    async def scenario() -> Stream:
        dispatcher = Dispatcher(
            FakeBackend(FakeOptions(service=ServiceTime(fixed_ms=250))), Scheduler(SchedulerOptions()), clock
        )
        session = Session("s", AudioFormat(), DecodeOptions("fake"), SessionOptions(vad="energy"))
        stream = Stream(session, shared(dispatcher, clock))
        engine = asyncio.create_task(dispatcher.run())
        audio = (quiet(0.4) + burst(1.0) + quiet(0.3) + burst(0.6) + quiet(0.8)) * 5
        for at in range(0, len(audio), int(frame_s * 32_000)):
            piece = audio[at : at + int(frame_s * 32_000)]
            await asyncio.sleep(len(piece) / 32_000)
            stream.receive(piece, clock())
        stream.stop()
        while await stream.outbox.wait():
            if isinstance(stream.outbox.take(clock()).event, Done):
                break
        engine.cancel()
        return stream

    stream = clock.run(scenario())
    assert len(stream._underway) == 0


def test_windows_that_newer_ones_replaced_are_forgotten() -> None:
    """Each holds seconds of audio, and a busy server replaces ten a second of each stream."""
    clock = SimClock()
    dispatcher = Dispatcher(FakeBackend(), Scheduler(SchedulerOptions()), clock)  # not run: all that is asked for waits
    session = Session("replaced", AudioFormat(), DecodeOptions("fake"), SessionOptions(vad="energy"))
    stream = Stream(session, shared(dispatcher, clock))
    audio = burst(5.0)
    for at in range(0, len(audio), FRAME_BYTES):
        stream.receive(audio[at : at + FRAME_BYTES], at / 32_000)
    held = [thing for thing in gc.get_objects() if type(thing) is DecodeJob and thing.session_id == session.id]
    assert dispatcher.policy.replaced > 20  # type: ignore[attr-defined]
    assert len(held) == 1
