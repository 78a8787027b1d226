"""The whole service beyond its capacity, on simulated time: many speakers, fake engines with a known cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import pytest
from cohear_client.protocol import Done, Error, Final, Partial, ServerMessage, Start, Warning
from cohear_server.config import ServerConfig
from cohear_server.core.jobs import DecodeJob, JobKind, Pcm
from cohear_server.engine.backend import DecodeBackend
from cohear_server.engine.tiers import TieredBackend
from cohear_server.errors import OverloadError
from cohear_server.live.service import Service
from cohear_server.scheduling.ladder import Rung
from cohear_server.wire.local import open_stream
from cohear_testing.fake import FAKE_MODEL, FakeBackend, FakeOptions, ServiceTime, two_words_a_second
from cohear_testing.simclock import SimClock

from ..serving import burst, quiet

ENGINE = ServiceTime(fixed_ms=30, per_job_ms=12, per_window_s_ms=5)
"""some 25 ms a partial in a full batch, twice that alone, as with a real one"""
SMALLER = replace(ENGINE, factor=0.4)
BILINGUAL, SMALL = replace(FAKE_MODEL, languages=("en", "de")), replace(FAKE_MODEL, name="small")
UTTERANCE = burst(3.0) + quiet(0.7)
FRAME = 3_200


@dataclass
class Heard:
    refused: OverloadError | None = None
    events: list[tuple[float, ServerMessage]] = field(default_factory=list)

    def of(self, kind: type[ServerMessage], since_s: float = 0.0) -> list[ServerMessage]:
        return [event for at_s, event in self.events if isinstance(event, kind) and at_s >= since_s]


@dataclass
class Crowd:
    """Speakers that come while it runs; what each heard."""

    service: Service
    clock: SimClock
    heard: list[Heard] = field(default_factory=list)
    rungs: list[tuple[float, Rung]] = field(default_factory=list)

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            self.rungs.append((self.clock(), self.service.engine.capacity.rung))

    async def speak(self, delay_s: float, utterances: int, silence_s: float = 0.0, language: str = "en") -> None:
        await asyncio.sleep(delay_s)
        heard = Heard()
        self.heard.append(heard)
        try:
            async with open_stream(self.service, Start(language=language)) as stream, asyncio.TaskGroup() as group:

                async def listen() -> None:
                    async for event in stream:
                        heard.events.append((self.clock(), event))

                group.create_task(listen())
                audio = quiet(silence_s) + UTTERANCE * utterances
                for at in range(0, len(audio), FRAME):
                    await asyncio.sleep(FRAME / 32_000)
                    await stream.send(audio[at : at + FRAME])
                await stream.stop()
        except* OverloadError as refusal:
            (heard.refused,) = refusal.exceptions  # type: ignore[assignment]


Speaker = tuple[float, int, float] | tuple[float, int, float, str]
"""comes at, utterances, silence before them; language"""


def crowd(
    clock: SimClock, speakers: Sequence[Speaker], backend: DecodeBackend | None = None, **settings: object
) -> Crowd:
    """Run them all to their ends."""
    config = ServerConfig(vad="energy", **settings)  # type: ignore[arg-type]
    backend = backend or FakeBackend(FakeOptions(service=ENGINE))

    async def run() -> Crowd:
        service = Service(config, backend, clock)
        async with service.running():
            found = Crowd(service, clock)
            watching = asyncio.create_task(found.watch())
            async with asyncio.TaskGroup() as group:
                for speaker in speakers:
                    group.create_task(found.speak(*speaker))
            await asyncio.sleep(10)
            found.rungs.append((clock(), service.engine.capacity.rung))
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        return found

    return clock.run(run())


def staggered(count: int, utterances: int, over_s: float = 3.7) -> list[tuple[float, int, float]]:
    return [(over_s * i / count, utterances, 0.0) for i in range(count)]


@pytest.fixture
def clock() -> SimClock:
    return SimClock()


@pytest.mark.parametrize(("speakers", "highest"), [(8, Rung.USUAL), (28, Rung.SLOWER), (46, Rung.NO_PARTIALS)])
def test_each_number_of_speakers_has_its_rung(clock: SimClock, speakers: int, highest: Rung) -> None:
    """All are let in, as if they had come silent; no final is lost on any rung."""
    found = crowd(clock, staggered(speakers, 6), admission=False)
    assert max(rung for _, rung in found.rungs) is highest
    for heard in found.heard:
        assert len(heard.of(Final)) == 6
        (done,) = heard.of(Done)
        assert isinstance(done, Done)
        assert done.samples.shed == 0
        assert done.samples.transcribed + done.samples.silent == done.samples.received


class Two:
    """A main model that knows two languages, and a smaller one that knows one; the words of each begin with a letter
    of its own."""

    def __init__(self) -> None:
        self.main = FakeBackend(FakeOptions(service=ENGINE, script=spelled("m"), model=BILINGUAL))
        self.smaller = FakeBackend(FakeOptions(service=SMALLER, script=spelled("s"), model=SMALL))

    @property
    def both(self) -> TieredBackend:
        return TieredBackend(self.main, self.smaller)

    def moved(self) -> list[DecodeJob]:
        """What streams had decoded by the smaller one."""
        return [job for batch in self.smaller.batches for job in batch if job.session_id]


def spelled(letter: str) -> Callable[[Pcm], list[str]]:
    return lambda pcm: [letter + word for word in two_words_a_second(pcm)]


@pytest.mark.parametrize(
    ("speakers", "highest"), [(8, Rung.USUAL), (26, Rung.SLOWER), (44, Rung.SMALLER), (67, Rung.NO_PARTIALS)]
)
def test_with_a_smaller_model_too_each_number_has_its_rung(clock: SimClock, speakers: int, highest: Rung) -> None:
    found = crowd(clock, staggered(speakers, 8), Two().both, admission=False)
    assert max(rung for _, rung in found.rungs) is highest
    assert sum(len(heard.of(Final)) for heard in found.heard) == speakers * 8


def test_so_many_have_no_partials_without_it(clock: SimClock) -> None:
    found = crowd(clock, staggered(44, 8), admission=False)
    assert max(rung for _, rung in found.rungs) is Rung.NO_PARTIALS


def test_partials_move_to_the_smaller_model_and_back_and_finals_never(clock: SimClock) -> None:
    two = Two()
    found = crowd(clock, [*staggered(44, 8), (0.0, 2, 50.0)], two.both, admission=False)
    taken = [rung for rung, _ in groupby(rung for _, rung in found.rungs)]
    assert taken == [Rung.USUAL, Rung.SLOWER, Rung.SMALLER, Rung.SLOWER, Rung.USUAL]
    assert len(two.moved()) > 100
    assert {job.kind for job in two.moved()} == {JobKind.PARTIAL}
    for heard in found.heard:
        assert all(isinstance(e, Final) and "m" in e.text and "s" not in e.text for e in heard.of(Final))
    assert sum(len(heard.of(Final)) for heard in found.heard) == 44 * 8 + 2
    assert [e for heard in found.heard for e in heard.of(Partial) if isinstance(e, Partial) and "s" in e.stable]


def test_clients_hear_of_the_smaller_model_and_of_each_step_back(clock: SimClock) -> None:
    found = crowd(clock, [*staggered(44, 8), (0.0, 2, 50.0)], Two().both, admission=False)
    patient = max(found.heard, key=lambda heard: heard.events[-1][0])
    told = [w for w in patient.of(Warning) if isinstance(w, Warning)]
    assert [w.code for w in told] == ["degraded", "degraded", "degraded", "restored"]
    assert ["smaller model" in w.message for w in told] == [False, True, False, False]


def test_a_stream_in_a_language_that_only_the_main_model_knows_stays_with_it(clock: SimClock) -> None:
    two = Two()
    speakers = [(*speaker, "de" if i % 4 == 0 else "en") for i, speaker in enumerate(staggered(44, 8))]
    found = crowd(clock, speakers, two.both, admission=False)
    assert Rung.SMALLER in {rung for _, rung in found.rungs}
    assert {job.options.language for job in two.moved()} == {"en"}
    assert not [e for heard in found.heard for _, e in heard.events if isinstance(e, Error)]
    for heard in found.heard:
        assert len(heard.of(Final)) == 8


def test_clients_hear_of_each_rung_and_of_the_end(clock: SimClock) -> None:
    found = crowd(clock, [*staggered(30, 6), (0.0, 2, 40.0)], admission=False)
    patient = max(found.heard, key=lambda heard: heard.events[-1][0])
    codes = [w.code for w in patient.of(Warning) if isinstance(w, Warning)]
    assert codes[0] == "degraded"
    assert codes[-1] == "restored"
    assert found.rungs[-1][1] is Rung.USUAL


def test_slower_partials_come_half_as_often(clock: SimClock) -> None:
    few, many = crowd(clock, staggered(4, 6)), crowd(SimClock(), staggered(28, 6), admission=False)
    usual = sum(len(heard.of(Partial)) for heard in few.heard) / 4
    slow = [
        sum(1 for at_s, event in heard.events if isinstance(event, Partial) and _rung_at(many, at_s) is Rung.SLOWER)
        for heard in many.heard
    ]
    slow_s = sum(0.1 for _, rung in many.rungs if rung is Rung.SLOWER)
    spoken_s = 6 * 3.7
    assert sum(slow) / len(slow) / slow_s < 0.75 * usual / spoken_s


def test_more_than_fit_are_refused_and_the_others_keep_their_promise(clock: SimClock) -> None:
    # a newcomer each 0.4 s, so that what the ones before cost is known
    found = crowd(clock, [(0.4 * i, 12, 0.0) for i in range(40)])
    refused = [heard.refused for heard in found.heard if heard.refused]
    admitted = [heard for heard in found.heard if not heard.refused]
    assert len(refused) >= 10
    assert all(fault.code == "overloaded" and fault.retry_after_s > 0 for fault in refused)
    assert len(admitted) >= 7
    assert max(rung for _, rung in found.rungs) is Rung.USUAL
    for heard in admitted:
        finals = heard.of(Final)
        assert len(finals) == 12
        late_ms = sorted(f.timing.total_ms for f in finals if isinstance(f, Final))
        assert late_ms[-1] < 300, "the server's part of the wait"
        assert max(e.timing.total_ms for _, e in heard.events if isinstance(e, Partial)) < 500


def test_there_is_room_again_soon_after(clock: SimClock) -> None:
    found = crowd(clock, [*staggered(30, 4), (4 * 3.7 + 3.7 + 10, 1, 0.0)], admission=True)
    assert found.heard[-1].refused is None
    assert len(found.heard[-1].of(Final)) == 1


def _rung_at(found: Crowd, at_s: float) -> Rung:
    return next((rung for moment_s, rung in found.rungs if moment_s >= at_s), found.rungs[-1][1])
