"""A stream outlives its connection: nothing said is lost, nothing comes twice."""

from __future__ import annotations

import pytest
from cohear_client import protocol
from cohear_client.protocol import Done, Error, Final, Ready, Resume, Start, Stop, encode
from cohear_testing.fake import FakeBackend, FakeOptions, ServiceTime
from websockets.asyncio.client import ClientConnection

from ..serving import Running, burst, heard_until, quiet, serving
from ..wire.test_connection import begin, closed_with, of, send_audio

AUDIO = quiet(0.5) + burst(1.0) + quiet(0.8) + burst(1.0) + quiet(0.8)


async def resumed(ws: ClientConnection, ready: Ready, last_seq: int) -> Ready:
    """The server's second `ready`."""
    return await begin(ws, Start(resume=Resume(ready.session_id, ready.token, last_seq)))


async def lose(ws: ClientConnection, running: Running) -> None:
    """Break the connection as a network does, and wait until the server has noticed."""
    stream = next(iter(running.service.streams.values()))
    outbox = stream.outbox
    ws.transport.abort()
    await outbox.closed.wait()


async def uninterrupted(running: Running) -> list[Final]:
    async with running.socket() as ws:
        await begin(ws)
        await send_audio(ws, AUDIO)
        await ws.send(encode(Stop()))
        return of(Final, await heard_until(ws, Done))


@pytest.mark.parametrize("cut_s", [0.2, 0.9, 1.3, 1.9, 2.5, 3.6])
async def test_a_lost_connection_costs_no_word(cut_s: float) -> None:
    cut = int(cut_s * 32_000) // 3_200 * 3_200
    async with serving(FakeBackend()) as running:
        expected = await uninterrupted(running)
        async with running.socket() as ws:
            ready = await begin(ws)
            await send_audio(ws, AUDIO[:cut])
            await ws.send(encode(protocol.Configure()))
            await lose(ws, running)
        async with running.socket() as ws:
            again = await resumed(ws, ready, last_seq=0)
            assert again.session_id == ready.session_id
            assert again.next_sample <= cut // 2
            await send_audio(ws, AUDIO[2 * again.next_sample :])
            await ws.send(encode(Stop()))
            messages = await heard_until(ws, Done)
        finals, (done,) = of(Final, messages), of(Done, messages)
        assert [(f.text, f.start_s, f.end_s) for f in finals] == [(f.text, f.start_s, f.end_s) for f in expected]
        assert done.samples.received == len(AUDIO) // 2
        assert running.service.streams == {}


async def test_finals_that_came_before_are_not_sent_again() -> None:
    async with serving(FakeBackend()) as running:
        async with running.socket() as ws:
            ready = await begin(ws)
            await send_audio(ws, AUDIO)
            first = (await heard_until(ws, Final))[-1]
            assert isinstance(first, Final)
            await heard_until(ws, Final)
            await lose(ws, running)
        async with running.socket() as ws:
            await resumed(ws, ready, last_seq=first.seq)
            await ws.send(encode(Stop()))
            assert [f.segment_id for f in of(Final, await heard_until(ws, Done))] == [1]


async def test_what_became_final_meanwhile_is_sent_on_return() -> None:
    async with serving(FakeBackend(FakeOptions(service=ServiceTime(fixed_ms=300)))) as running:
        async with running.socket() as ws:
            ready = await begin(ws)
            await send_audio(ws, AUDIO)
            await ws.send(encode(Stop()))
            await heard_until(ws, protocol.SpeechEnded)
            await lose(ws, running)
        async with running.socket() as ws:
            await resumed(ws, ready, last_seq=0)
            assert len(of(Final, await heard_until(ws, Done))) == 2


async def test_a_second_connection_takes_over_from_one_that_hangs() -> None:
    async with serving(FakeBackend()) as running, running.socket() as hanging, running.socket() as ws:
        ready = await begin(hanging)
        await send_audio(hanging, AUDIO[: len(AUDIO) // 4 * 2])
        await heard_until(hanging, Final)
        again = await resumed(ws, ready, last_seq=0)
        await closed_with(hanging)
        await send_audio(ws, AUDIO[2 * again.next_sample :])
        await ws.send(encode(Stop()))
        assert len(of(Final, await heard_until(ws, Done))) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [({"token": "guess"}, "unknown_session"), ({"session_id": "other"}, "unknown_session")],
)
async def test_only_the_owner_resumes(change: dict[str, str], code: str) -> None:
    async with serving(FakeBackend()) as running:
        async with running.socket() as ws:
            ready = await begin(ws)
            await lose(ws, running)
        claim = {"session_id": ready.session_id, "token": ready.token} | change
        async with running.socket() as ws:
            await ws.send(encode(Start(resume=Resume(claim["session_id"], claim["token"]))))
            (error,) = await heard_until(ws, Error)
            assert isinstance(error, Error)
            assert error.code == code
        assert list(running.service.streams) == [ready.session_id], "the guess did the session no harm"


async def test_another_audio_format_is_refused() -> None:
    async with serving(FakeBackend()) as running:
        async with running.socket() as ws:
            ready = await begin(ws)
            await lose(ws, running)
        async with running.socket() as ws:
            await ws.send(encode(Start(sample_rate=8_000, resume=Resume(ready.session_id, ready.token))))
            (error,) = await heard_until(ws, Error)
            assert isinstance(error, Error)
            assert error.code == "bad_field"


async def test_after_the_window_the_session_is_gone() -> None:
    async with serving(FakeBackend(), resume_window_s=0.01) as running:
        async with running.socket() as ws:
            ready = await begin(ws)
            await lose(ws, running)
        await running.service.vacant.wait()
        async with running.socket() as ws:
            await ws.send(encode(Start(resume=Resume(ready.session_id, ready.token))))
            (error,) = await heard_until(ws, Error)
            assert isinstance(error, Error)
            assert error.code == "unknown_session"


async def test_a_client_that_closes_normally_does_not_come_back() -> None:
    async with serving(FakeBackend()) as running:
        async with running.socket() as ws:
            await begin(ws)
        await running.service.vacant.wait()


@pytest.mark.parametrize("had", [0, 100, 299, 300])
async def test_a_resend_is_as_long_as_it_must_be_and_nothing_comes_twice(had: int) -> None:
    """More than may wait for a client that reads; each acknowledgement is known by its mark."""
    async with serving(FakeBackend()) as running:
        marks = [str(number) for number in range(300)]
        async with running.socket() as ws:
            ready = await begin(ws)
            for mark in marks:
                await ws.send(encode(protocol.Finalize(mark)))
                await heard_until(ws, protocol.Finalized)
            await lose(ws, running)
        async with running.socket() as ws:
            await begin(ws, Start(resume=Resume(ready.session_id, ready.token, 0, had)))
            await ws.send(encode(Stop()))
            messages = await heard_until(ws, Done)
            assert [m.id for m in of(protocol.Finalized, messages)] == marks[had:]


async def test_audio_of_the_connection_before_is_not_heard_after_the_return() -> None:
    """A frame of many seconds is taken slice by slice; the client comes back in the midst of it."""
    async with serving(FakeBackend()) as running, running.socket() as hanging, running.socket() as ws:
        ready = await begin(hanging)
        audio = AUDIO * 7
        await hanging.send(audio)
        await heard_until(hanging, protocol.SpeechStarted)
        again = await resumed(ws, ready, last_seq=0)
        assert 0 < again.next_sample < len(audio) // 2
        await ws.send(audio[2 * again.next_sample :])
        await ws.send(encode(Stop()))
        (done,) = of(Done, await heard_until(ws, Done))
        assert done.samples.received == len(audio) // 2
