"""One stream's memory is bounded, whatever its client does."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Coroutine, Sequence

import pytest
from cohear_server.config import ServerConfig
from cohear_server.core.audio import AudioFormat
from cohear_server.core.commands import Finalize, Start
from cohear_server.core.events import Failed
from cohear_server.core.jobs import DecodeJob, DecodeResult
from cohear_server.errors import ClientError
from cohear_server.live import log, outbox
from cohear_server.live.service import Service
from cohear_server.live.stream import MAX_BYTES, Stream
from cohear_testing.fake import FakeBackend, FakeOptions, ServiceTime
from cohear_testing.simclock import SimClock

from ..serving import burst, quiet

NEVER = ServiceTime(fixed_ms=1e9)
WORDY = FakeOptions(script=lambda pcm: [f"word{number}" for number in range(len(pcm) // 2_000)])
Attack = Callable[[Stream, SimClock], Coroutine[None, None, None]]


class Forgetful(FakeBackend):
    """Keeps no batch, as an engine."""

    async def decode(self, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        try:
            return await super().decode(batch)
        finally:
            self.batches.clear()


async def short_words(stream: Stream, clock: SimClock) -> None:
    """As many segments as there may be, each with much context, while the engine does nothing; and marks between."""
    audio = burst(0.25) + quiet(0.25)
    for number in range(2_000):
        if stream.session.full:
            break
        await stream.take(audio, clock())
        if number < 256:
            stream.handle(Finalize(f"{number:0250d}"))
    assert stream.session.full


async def long_frames(stream: Stream, clock: SimClock) -> None:
    """As much as comes at once: no slice is waited with until the stream is full."""
    audio = (burst(27.0) + quiet(0.5)) * 3
    for piece in stream.session.format.slices(audio):
        if not stream.session.full:
            stream.receive(piece, clock())
    assert stream.session.full


async def nothing_read(stream: Stream, clock: SimClock) -> None:
    """Finals and errors, more than are kept, and nobody takes one."""
    for number in range(2 * log.LIMIT):
        if number < outbox.LIMIT:
            await stream.take(burst(9.0) + quiet(0.6), clock())
        stream.say(Failed(ClientError("bad_field", f"{number:0300d}", "x" * 300), fatal=False))
    assert stream.outbox.overflowed


@pytest.mark.parametrize(
    ("attack", "engine"),
    [(short_words, FakeOptions(service=NEVER)), (long_frames, FakeOptions(service=NEVER)), (nothing_read, WORDY)],
)
def test_a_stream_under_attack_stays_within_its_bound(attack: Attack, engine: FakeOptions) -> None:
    clock = SimClock()

    async def scenario() -> int:
        config = ServerConfig(vad="energy", endpoint_ms=100, max_segment_s=28, admission=False)
        service = Service(config, Forgetful(engine), clock)
        async with service.running():
            stream = service.admit(Start(AudioFormat(16_000, "pcm_s16le", 1)))
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            await attack(stream, clock)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
            engine.service = ServiceTime()
            service.dismiss(stream)
            return after - before

    tracemalloc.start()
    try:
        taken = clock.run(scenario())
    finally:
        tracemalloc.stop()
    print(f"{attack.__name__}: {taken / 1e6:.1f} MB")
    assert 0 < taken < MAX_BYTES
