"""A stream between its session and the dispatcher; what clients see of it is in `test_gateway` and `test_resume`."""

from __future__ import annotations

import gc

from cohear_client.protocol import Start
from cohear_server.core.jobs import DecodeJob, DecodeOptions
from cohear_server.core.session import Session, SessionOptions
from cohear_server.live.stream import Stream
from cohear_server.scheduling.dispatcher import Dispatcher
from cohear_server.scheduling.scheduler import Scheduler, SchedulerOptions
from cohear_testing.fake import FakeBackend
from cohear_testing.simclock import SimClock

from ..serving import burst

FRAME_BYTES = 640


def test_windows_that_newer_ones_replaced_are_forgotten() -> None:
    """Each holds seconds of audio, and a busy server replaces ten a second of each stream."""
    clock = SimClock()
    dispatcher = Dispatcher(FakeBackend(), Scheduler(SchedulerOptions()), clock)  # not run: all that is asked for waits
    session = Session("replaced", Start(), DecodeOptions("fake"), SessionOptions(vad="energy"))
    dispatcher.load.opened(session.id)
    stream = Stream(session, dispatcher, clock)
    audio = burst(5.0)
    for at in range(0, len(audio), FRAME_BYTES):
        stream.receive(audio[at : at + FRAME_BYTES], at / 32_000)
    held = [thing for thing in gc.get_objects() if type(thing) is DecodeJob and thing.session_id == session.id]
    assert dispatcher.policy.replaced > 20  # type: ignore[attr-defined]
    assert len(held) == 1
