from __future__ import annotations

import asyncio

import numpy as np
import pytest
from cohear_client import ClientError, Done, Final, OverloadError, ServerError, Start, connect
from cohear_client.protocol import Configure, Error, Finalized, Limits, Partial, ServerMessage, Warning

from .fake_server import FakeServer, Script

SECOND = np.zeros(16_000, np.int16)


async def everything(script: Script, audio: np.ndarray = SECOND) -> tuple[list[ServerMessage], BaseException | None]:
    """All events of a stream that sends `audio`, and what was raised at the end."""
    events: list[ServerMessage] = []
    async with FakeServer(script).running() as server, connect(server.url) as stream:
        try:
            await stream.send(audio)
            await stream.stop()
        except ServerError:
            pass  # the iterator raises the same
        try:
            async for event in stream:
                events.append(event)
        except (ClientError, ServerError) as fault:
            return events, fault
    return events, None


async def test_audio_comes_back_as_finals_and_done() -> None:
    events, fault = await everything(Script())
    assert fault is None
    assert [e.text for e in events if isinstance(e, Final)] == ["hello world0", "hello world1"]
    assert isinstance(events[-1], Done)
    assert events[-1].samples.received == 16_000


async def test_options_and_start_are_the_same() -> None:
    async with FakeServer().running() as server:
        async with connect(server.url, language="de", words=False) as stream:
            assert stream.ready.model == "fake"
        async with connect(server.url, Start(language="de"), words=False):
            pass
        assert server.seen.starts == [Start(language="de", words=False)] * 2


async def test_frames_over_the_servers_limit_are_cut_at_whole_samples() -> None:
    async with FakeServer(Script(limits=Limits(max_frame_bytes=1001))).running() as server:
        async with connect(server.url) as stream:
            await stream.send(np.arange(1200, dtype=np.int16))
            await stream.stop()
            assert [e async for e in stream]
        assert server.seen.frame_sizes == [1000, 1000, 400]
        assert bytes(server.seen.audio) == np.arange(1200, dtype="<i2").tobytes()


async def test_float_audio_needs_a_float_stream() -> None:
    async with FakeServer().running() as server:
        async with connect(server.url) as stream:
            with pytest.raises(ClientError, match="carries pcm_s16le"):
                await stream.send(np.zeros(10, np.float32))
            with pytest.raises(ClientError, match="whole number"):
                await stream.send(b"123")
        async with connect(server.url, encoding="pcm_f32le") as stream:
            await stream.send(np.zeros(10, np.float32))


async def test_audio_after_stop_is_refused() -> None:
    async with FakeServer().running() as server, connect(server.url) as stream:
        await stream.stop()
        await stream.stop()
        with pytest.raises(ClientError, match="after stop"):
            await stream.send(SECOND)


async def test_finalize_is_acknowledged_without_reading_events() -> None:
    async with FakeServer().running() as server, connect(server.url) as stream:
        await stream.finalize("a")
        await stream.finalized("a")
        await stream.finalized("a")
        await stream.configure(Configure(language="fr"))
        await stream.keep_alive()
        await stream.stop()
        events = [e async for e in stream]
    assert Finalized("a") in events


async def test_finalize_of_a_lost_stream_raises() -> None:
    async with FakeServer(Script(drop_after_segments=1)).running() as server, connect(server.url) as stream:
        await stream.finalize("a")
        with pytest.raises(ServerError, match="lost"):
            await stream.finalized("a")


async def test_whatever_is_asked_of_a_stream_that_is_over_raises_at_once() -> None:
    async with FakeServer().running() as server, connect(server.url) as stream:
        await stream.finalize("a")
        await stream.finalized("a")
        await stream.stop()
        assert isinstance([e async for e in stream][-1], Done)
        asked = (stream.send(SECOND), stream.finalize("x"), stream.configure(Configure()), stream.keep_alive())
        for request in asked:
            with pytest.raises(ClientError, match="over"):
                await request
        assert [e async for e in stream] == []
        await stream.stop()


async def test_a_sender_waits_until_what_it_sent_is_settled() -> None:
    """A minute may be on its way; the server says nothing of it until it is told to."""
    hold = asyncio.Event()
    async with FakeServer(Script(hold=hold)).running() as server, connect(server.url) as stream:
        await stream.send(np.zeros(60 * 16_000, np.int16))
        more = asyncio.create_task(stream.send(SECOND))
        done, _ = await asyncio.wait([more], timeout=0.1)
        assert not done
        hold.set()
        await more
        await stream.stop()
        assert [e async for e in stream][-1].samples.received == 61 * 16_000  # type: ignore[union-attr]


async def test_refusal_raises_at_once() -> None:
    full = Error("overloaded", "no room", "later", retry_after_s=3.0)
    async with FakeServer(Script(refuse=full)).running() as server:
        with pytest.raises(OverloadError) as caught:
            async with connect(server.url):
                raise AssertionError("opened")
    assert caught.value.retry_after_s == 3.0


async def test_fatal_error_comes_after_the_finals_and_done() -> None:
    events, fault = await everything(Script(fatal_after_segments=1), SECOND[:8000])
    assert isinstance(fault, ServerError)
    assert fault.code == "internal"
    assert len([e for e in events if isinstance(e, Final)]) == 2
    assert isinstance(events[-1], Done)
    assert not any(isinstance(e, Error) for e in events)


async def test_lost_connection_comes_after_what_was_heard() -> None:
    events, fault = await everything(Script(drop_after_segments=1), SECOND[:8000])
    assert isinstance(fault, ServerError)
    assert fault.code == "connection_lost"
    assert fault.remedy
    assert [e.text for e in events if isinstance(e, Final)] == ["hello world0"]


async def test_sending_on_a_lost_connection_says_why() -> None:
    async with FakeServer(Script(drop_after_segments=1)).running() as server, connect(server.url) as stream:
        await stream.send(SECOND[:8000])
        with pytest.raises(ServerError, match="lost"):
            async for _ in stream:
                pass
        with pytest.raises(ServerError, match="lost"):
            await stream.send(SECOND)


async def test_a_failure_that_is_not_fatal_is_an_event() -> None:
    raw = '{"type":"error","code":"x","message":"one segment failed","fatal":false}'
    events, fault = await everything(Script(before_done=[raw]))
    assert fault is None
    assert Error("x", "one segment failed", fatal=False) in events


async def test_message_of_a_newer_server_is_a_warning() -> None:
    events, fault = await everything(Script(before_done=['{"type":"speaker","name":"Ada"}']))
    assert fault is None
    assert any(isinstance(e, Warning) and "speaker" in e.message for e in events)


async def test_garbage_ends_the_stream() -> None:
    _, fault = await everything(Script(before_done=["{"]))
    assert isinstance(fault, ServerError)
    assert fault.code == "bad_message"


async def test_sending_everything_before_reading_anything_works() -> None:
    """200 segments with 50 partials each wait for a reader that comes late: only partials are coalesced."""
    events, fault = await everything(Script(partials_each=50), np.zeros(100 * 16_000, np.int16))
    assert fault is None
    assert len([e for e in events if isinstance(e, Final)]) == 200
    assert len([e for e in events if isinstance(e, Partial)]) < 200
    seqs = [e.seq for e in events if isinstance(e, Final | Partial)]
    assert seqs == sorted(seqs)


async def test_leaving_early_closes_the_socket() -> None:
    hold = asyncio.Event()
    async with FakeServer(Script(hold=hold)).running() as server:
        async with connect(server.url) as stream:
            await stream.send(SECOND)
        hold.set()
        with pytest.raises(ServerError):
            await stream.send(SECOND)


async def test_a_fault_in_the_body_stays_what_it_is() -> None:
    async with FakeServer().running() as server:
        with pytest.raises(ZeroDivisionError):
            async with connect(server.url):
                raise ZeroDivisionError
