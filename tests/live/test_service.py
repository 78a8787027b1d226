"""Places, companions and the end: what one stream or one helper does, others do not feel."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import pytest
from cohear_server.config import ServerConfig
from cohear_server.core.commands import Claim, Start
from cohear_server.core.events import Closing, Done, Event, Failed, Final, Lost, Stats
from cohear_server.errors import ClientError, OverloadError
from cohear_server.live import companions, places
from cohear_server.live.caller import ANYONE, Caller
from cohear_server.live.places import SILENT_S, SPEAKS_WITHIN_S
from cohear_server.live.service import Service
from cohear_server.live.stream import ALWAYS_S, Stream
from cohear_server.models.silero import load_silero
from cohear_testing.fake import FakeBackend, FakeOptions, ServiceTime
from cohear_testing.simclock import SimClock

from ..serving import burst, quiet

ALICE, BOB = Caller("alice", "1", address="10.0.0.1"), Caller("bob", "2", address="10.0.0.2")
SPEECH = quiet(0.5) + burst(1.0) + quiet(0.8)


@contextlib.asynccontextmanager
async def running(backend: FakeBackend | None = None, /, **settings: object) -> AsyncIterator[Service]:
    service = Service(ServerConfig(vad="energy", **settings), backend or FakeBackend())  # type: ignore[arg-type]
    async with service.running():
        yield service


async def heard(stream: Stream, limit_s: float = 60.0) -> list[Event]:
    """All that it tells until its outbox ends."""
    events: list[Event] = []
    async with asyncio.timeout(limit_s):
        while (not events or not isinstance(events[-1], Done)) and await stream.outbox.wait():
            events.append(stream.outbox.take(0.0).event)
    return events


def lost(service: Service, caller: Caller = ANYONE) -> Stream:
    """A stream whose connection broke right after it was admitted."""
    stream = service.admit(Start(), caller)
    service.detach(stream)
    return stream


async def test_streams_without_a_client_give_way_and_those_that_never_spoke_first() -> None:
    async with running(max_streams=3) as service:
        spoken = service.admit(Start())
        spoken.receive(burst(0.2), 0.0)
        service.detach(spoken)
        mute, later = lost(service), lost(service)
        first = service.admit(Start())
        assert mute.session.id not in service.streams
        second = service.admit(Start())
        assert later.session.id not in service.streams
        third = service.admit(Start())
        assert list(service.streams.values()) == [first, second, third]
        with pytest.raises(OverloadError, match="all 3 streams"):
            service.admit(Start())


async def test_many_connections_that_are_broken_at_once_keep_nobody_out() -> None:
    """Neither from the places nor from the engine."""
    async with running(max_streams=12) as service:
        for _ in range(50):
            lost(service)
        service.admit(Start())
        assert len(service.streams) == 12
    async with running() as service:
        service.engine.capacity.admits = lambda now_s: len(service.streams) < 4  # type: ignore[method-assign]
        for _ in range(50):
            lost(service)
        service.admit(Start())
        assert len(service.streams) == 4


async def test_a_stream_whose_client_is_back_gives_way_no_more() -> None:
    async with running(max_streams=1) as service:
        stream = lost(service)
        service.resume(Start(), Claim(stream.session.id, stream.token))
        with pytest.raises(OverloadError):
            service.admit(Start())


@pytest.mark.parametrize(
    ("settings", "same", "other"),
    [
        ({"max_streams_per_key": 2}, Caller("alice", "1", address="10.9.9.9"), BOB),
        ({"max_streams_per_address": 2}, Caller("carol", "3", address="10.0.0.1"), BOB),
    ],
)
async def test_one_caller_has_so_many_places_and_no_more(settings: dict[str, int], same: Caller, other: Caller) -> None:
    async with running(**settings) as service:
        for _ in range(2):
            service.admit(Start(), ALICE)
        with pytest.raises(OverloadError, match="your key or your address"):
            service.admit(Start(), same)
        for _ in range(2):
            service.admit(Start(), other)


async def test_streams_of_other_addresses_do_not_give_way_to_one_that_may_have_no_more() -> None:
    """Without keys all callers are alike but for their addresses."""
    here, there = Caller(address="10.0.0.1"), Caller(address="10.0.0.2")
    async with running(max_streams_per_address=1) as service:
        elsewhere = lost(service, there)
        service.admit(Start(), here)
        with pytest.raises(OverloadError, match="your key or your address"):
            service.admit(Start(), here)
        assert elsewhere.session.id in service.streams


async def test_one_address_of_the_internet_cannot_have_all_places_but_a_network_behind_a_proxy_can() -> None:
    async with running(max_streams=4) as service:
        for _ in range(2):
            service.admit(Start(), Caller(address="8.8.8.8"))
        with pytest.raises(OverloadError, match="your key or your address"):
            service.admit(Start(), Caller(address="8.8.8.8"))
        for address in ("127.0.0.1", "172.17.0.1"):
            service.admit(Start(), Caller(address=address))
    async with running(max_streams=4) as service:
        for _ in range(4):
            service.admit(Start(), Caller(address="172.17.0.1"))


def test_streams_that_send_no_audio_give_way_to_one_that_wants_in_and_are_told() -> None:
    """Whatever else they send: a keepalive is no speech."""
    clock = SimClock()
    service = Service(ServerConfig(vad="energy", max_streams=3), FakeBackend(), clock)

    async def scenario() -> None:
        async with service.running():
            talker, quitter, mute = (service.admit(Start()) for _ in range(3))
            for stream in (talker, quitter):
                await stream.take(burst(0.2), clock())
            with pytest.raises(OverloadError, match="all 3 streams"):
                service.admit(Start())  # the mute one has just begun
            await asyncio.sleep(SPEAKS_WITHIN_S + 0.1)
            first = service.admit(Start())
            assert [e.fault.code for e in await heard(mute) if isinstance(e, Failed)] == ["overloaded"]
            for stream in (talker, first):
                await stream.take(burst(0.2), clock())
            with pytest.raises(OverloadError, match="all 3 streams"):
                service.admit(Start())  # a pause is not the end
            await asyncio.sleep(SILENT_S)
            await talker.take(burst(0.2), clock())
            await first.take(burst(0.2), clock())
            service.admit(Start())
            assert isinstance((await heard(quitter))[-1], Done)
            assert not talker.expelled
            assert not first.expelled

    clock.run(scenario())


def test_one_whose_speech_still_waits_for_its_text_does_not_give_way() -> None:
    clock = SimClock()
    engine = FakeOptions()
    service = Service(ServerConfig(vad="energy", max_streams=1), FakeBackend(engine), clock)

    async def scenario() -> None:
        async with service.running():
            engine.hangs = True
            stream = service.admit(Start())
            await stream.take(SPEECH, clock())
            await asyncio.sleep(SILENT_S + 1)
            with pytest.raises(OverloadError):
                service.admit(Start())
            engine.hangs = False

    clock.run(scenario())


def test_the_speech_of_one_caller_that_waits_is_bounded_and_holds_up_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many files at once, all sent as fast as they are taken; and a live stream of the same caller and of another."""
    monkeypatch.setattr(places, "CALLER_BACKLOG_S", 20.0)
    clock = SimClock()
    engine = FakeOptions()
    service = Service(ServerConfig(vad="energy", admission=False, max_batch=1), FakeBackend(engine), clock)

    async def scenario() -> None:
        async with service.running():
            engine.service = ServiceTime(fixed_ms=5_000)
            files = [service.admit(Start(partials=False), ALICE) for _ in range(10)]

            async def send(stream: Stream) -> None:
                for _ in range(40):
                    await stream.room()
                    await stream.take(SPEECH, clock())

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(send(stream)) for stream in files]
                await asyncio.sleep(20.0)
                waiting_s = sum(stream.session.backlog_s for stream in files)
                assert 20.0 < waiting_s < 20.0 + 10 * (ALWAYS_S + 2)
                for caller in (ALICE, BOB):
                    async with asyncio.timeout(1.0):
                        await service.admit(Start(), caller).room()
                engine.service = ServiceTime(fixed_ms=10)
                await asyncio.wait(tasks, timeout=600.0)
            assert all(task.done() for task in tasks), "and what waited goes on"

    clock.run(scenario())


async def test_one_that_was_told_to_go_is_not_there_to_come_back_to() -> None:
    """Else such as come and go would be held, and held by nobody's limit."""
    async with running(max_streams=1) as service:
        stream = service.admit(Start())
        service.expel(stream, ClientError("key_revoked", "the key of this stream was revoked"))
        service.detach(stream)
        assert not service.streams


async def test_whoever_may_have_no_more_gives_way_to_himself_alone() -> None:
    async with running(max_streams_per_key=1) as service:
        hers, his = lost(service, ALICE), lost(service, BOB)
        service.admit(Start(), ALICE)
        assert hers.session.id not in service.streams
        assert his.session.id in service.streams


async def test_a_companion_that_fails_is_begun_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(companions, "RESTART_S", 0.0)
    began = asyncio.Event()
    runs = 0

    async def companion() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise OSError(5, "Input/output error")
        began.set()

    service = Service(ServerConfig(vad="energy"), FakeBackend())
    service.companions.append(companion)
    async with service.running():
        await asyncio.wait_for(began.wait(), 10)
        assert service.companions.faults == 2
        assert service.ready
    assert "companion failed; it begins again" in caplog.text


async def test_a_stream_that_fails_between_its_messages_ends_and_no_other() -> None:
    """In a tick, and on a result of the engine."""
    async with running() as service:
        ticked, resolved, well = (service.admit(Start()) for _ in range(3))

        def explode(*_: object) -> None:
            raise ZeroDivisionError

        ticked.session.handle = explode  # type: ignore[method-assign, assignment]
        resolved.session.resolve = explode  # type: ignore[method-assign, assignment]
        for stream in (resolved, well):
            await stream.take(SPEECH, 0.0)
            stream.stop()
        for stream in (ticked, resolved):
            last = (await heard(stream))[-1]
            assert isinstance(last, Failed)
            assert last.fault.code == "internal"
        events = await heard(well)
        assert [type(event) for event in events if isinstance(event, Final | Done)] == [Final, Done]


async def test_a_stream_of_this_process_is_told_that_time_passes() -> None:
    async with running() as service:
        stream = service.admit(Start())
        async with asyncio.timeout(60):
            while not isinstance(stream.outbox.take(0.0).event, Stats):
                await stream.outbox.wait()


async def test_a_stream_without_a_client_is_not_ticked() -> None:
    """Its segment would be cut for a silence that is the network's."""
    async with running() as service:
        gone, here = service.admit(Start()), service.admit(Start())
        of_gone, of_here = asyncio.Event(), asyncio.Event()
        gone.tick, here.tick = of_gone.set, of_here.set  # type: ignore[method-assign]
        service.detach(gone)
        await asyncio.wait_for(of_here.wait(), 60)
        assert not of_gone.is_set()


def test_what_is_not_decoded_in_time_is_told_as_lost_and_the_end_comes() -> None:
    """A shutdown on a simulated clock, with an engine that would take a minute."""
    clock = SimClock()

    async def scenario() -> tuple[list[Event], float]:
        backend = FakeBackend(FakeOptions(service=ServiceTime(fixed_ms=60_000)))
        service = Service(ServerConfig(vad="energy", admission=False), backend, clock)
        async with service.running():
            stream = service.admit(Start())
            for _ in range(3):
                await stream.take(SPEECH, clock())
            listening = asyncio.create_task(heard(stream, 600.0))
            listening.add_done_callback(lambda _: service.dismiss(stream))
            begun_s = clock()
            await service.drain(10.0)
            return await listening, clock() - begun_s

    events, took_s = clock.run(scenario())
    assert 10.0 <= took_s < 13.0
    assert any(isinstance(event, Closing) for event in events)
    assert [event.fault.code for event in events if isinstance(event, Lost)] == ["draining"] * 3
    done = events[-1]
    assert isinstance(done, Done)
    assert done.samples.received == 3 * len(SPEECH) // 2
    assert done.samples.shed > 0


def test_a_stream_that_loses_its_client_while_the_server_drains_holds_nothing_up() -> None:
    clock = SimClock()

    async def scenario() -> float:
        backend = FakeBackend(FakeOptions(service=ServiceTime(fixed_ms=60_000)))
        service = Service(ServerConfig(vad="energy", admission=False), backend, clock)
        async with service.running():
            stream = service.admit(Start())
            await stream.take(SPEECH, clock())
            asyncio.get_running_loop().call_later(1.0, service.detach, stream)
            begun_s = clock()
            await service.drain(10.0)
            return clock() - begun_s

    assert clock.run(scenario()) == pytest.approx(1.0)


async def test_a_stream_that_failed_is_not_there_to_come_back_to() -> None:
    async with running() as service:
        stream = lost(service)
        stream.fail()
        with pytest.raises(ClientError, match="does not hold the session"):
            service.resume(Start(), Claim(stream.session.id, stream.token))


async def test_what_was_missed_and_is_not_kept_is_not_passed_over() -> None:
    async with running() as service:
        stream = lost(service)
        with pytest.raises(ClientError, match="does not hold"):
            service.resume(Start(), Claim(stream.session.id, stream.token, 0, 7))
        assert service.places.is_lost(stream), "and the stream is where it was"


async def test_silero_is_loaded_before_the_first_stream_and_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded_in: list[threading.Thread] = []

    def watched() -> object:
        loaded_in.append(threading.current_thread())
        return load_silero()

    monkeypatch.setattr("cohear_server.live.sessions.load_silero", watched)
    service = Service(ServerConfig(vad="cascade"), FakeBackend())
    async with service.running():
        assert len(loaded_in) == 1
        assert loaded_in[0] is not threading.current_thread()
        for _ in range(2):
            service.dismiss(service.admit(Start()))
    assert len(loaded_in) == 1
