"""Bad input, vanished clients and slow readers over a real socket: each gets a clear answer, and harms no other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import TypeVar

import numpy as np
import pytest
from cohear_client import protocol
from cohear_client.protocol import Done, Error, Final, Finalized, Partial, Ready, Start, Stop, encode
from cohear_testing.fake import FakeBackend, FakeOptions, ServiceTime
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from ..serving import Running, burst, heard_until, quiet, serving

M = TypeVar("M")
SPEECH = quiet(0.5) + burst(1.0) + quiet(0.8)


def of(kind: type[M], messages: list[protocol.ServerMessage]) -> list[M]:
    return [m for m in messages if isinstance(m, kind)]


async def begin(ws: ClientConnection, start: Start | None = None) -> Ready:
    await ws.send(encode(start or Start()))
    (ready,) = await heard_until(ws, Ready)
    assert isinstance(ready, Ready)
    return ready


async def send_audio(ws: ClientConnection, audio: bytes, frame: int = 3_200) -> None:
    for i in range(0, len(audio), frame):
        await ws.send(audio[i : i + frame])


async def transcribe(running: Running) -> list[protocol.ServerMessage]:
    """A well-behaved stream from start to done."""
    async with running.socket() as ws:
        await begin(ws)
        # the rest waits for a partial: all at once could be over before the engine has heard of it
        await send_audio(ws, SPEECH[: len(SPEECH) // 2])
        shown = await heard_until(ws, Partial)
        await send_audio(ws, SPEECH[len(SPEECH) // 2 :])
        await ws.send(encode(Stop()))
        return shown + await heard_until(ws, Done)


async def closed_with(ws: ClientConnection) -> int:
    try:
        while True:
            await ws.recv()
    except ConnectionClosed:
        assert ws.close_code is not None
        return ws.close_code


async def test_a_stream_from_start_to_done() -> None:
    async with serving(FakeBackend()) as running:
        messages = await transcribe(running)
        (final,) = of(Final, messages)
        (done,) = of(Done, messages)
        assert final.text.startswith("w0 w1")
        assert final.timing.batch_size == 1
        assert done.samples.received == len(SPEECH) // 2
        assert done.samples.transcribed + done.samples.silent == done.samples.received
        assert of(Partial, messages)
    assert running.service.streams == {}


async def test_the_subprotocol_is_answered() -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        assert ws.subprotocol == protocol.SUBPROTOCOL


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("{", "bad_json"),
        ("[1]", "bad_json"),
        ('{"type": "hello"}', "unknown_type"),
        ('{"type": 5}', "unknown_type"),
        ("{}", "unknown_type"),
        (encode(Stop()), "not_started"),
        (b"\0" * 640, "not_started"),
        ('{"type": "start", "sample_rate": 4000}', "bad_field"),
        ('{"type": "start", "sample_rate": 16000.5}', "bad_field"),
        ('{"type": "start", "encoding": "mp3"}', "bad_field"),
        ('{"type": "start", "channels": 9}', "bad_field"),
        ('{"type": "start", "channels": "two"}', "bad_field"),
        ('{"type": "start", "endpoint_ms": 5}', "bad_field"),
        ('{"type": "start", "sampel_rate": 16000}', "bad_field"),
        ('{"type": "start", "prompt": "' + "x" * 2_000 + '"}', "bad_field"),
        ('{"type": "start", "language": "tlh"}', "unsupported_language"),
        ('{"type": "start", "model": "huge"}', "unsupported_model"),
        ('{"type": "start", "task": "translate"}', "unsupported_task"),
        ('{"type": "start", "resume": {"session_id": "a", "token": "b"}}', "unknown_session"),
        ('{"type": "start", "resume": {"session_id": "a"}}', "bad_field"),
    ],
)
async def test_a_stream_that_begins_badly_is_refused(first: str | bytes, code: str) -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await ws.send(first)
        (error,) = await heard_until(ws, Error)
        assert isinstance(error, Error)
        assert error.code == code
        assert error.fatal
        assert error.remedy
        assert await closed_with(ws) == protocol.CLOSE_CLIENT_FAULT
        assert running.service.streams == {}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", "bad_json"),
        ('{"type": "hello"}', "unknown_type"),
        (encode(Start()), "already_started"),
        ('{"type": "configure", "endpoint_ms": 1}', "bad_field"),
        ('{"type": "configure", "language": "tlh"}', "unsupported_language"),
        ('{"type": "finalize", "id": 5}', "bad_field"),
        ('{"type": "finalize", "id": "\\ud800"}', "bad_field"),
        ('{"type": "keepalive", "\\ud800": 1}', "bad_json"),
        ('{"type": "\\ud800"}', "unknown_type"),
        ('{"type": "keepalive", "' + "x" * 60_000 + '": 1}', "bad_field"),
        ('{"type": "' + "x" * 60_000 + '"}', "unknown_type"),
        ("[" * 60_000, "bad_json"),
    ],
)
async def test_a_wrong_message_in_mid_stream_loses_nothing(message: str, code: str) -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await begin(ws)
        await send_audio(ws, SPEECH[: len(SPEECH) // 4 * 2])
        await ws.send(message)
        await send_audio(ws, SPEECH[len(SPEECH) // 4 * 2 :])
        await ws.send(encode(Stop()))
        messages = await heard_until(ws, Done)
        (error,) = of(Error, messages)
        assert (error.code, error.fatal) == (code, False)
        assert len(error.message + error.remedy) < 500, "what was sent does not come back at length"
        assert len(of(Final, messages)) == 1
        assert await closed_with(ws) == protocol.CLOSE_NORMAL


@pytest.mark.parametrize(
    ("start", "frame", "code"),
    [
        (Start(), b"\0" * 641, "bad_audio"),
        (Start(channels=2), b"\0" * 642, "bad_audio"),
        (Start(encoding="pcm_f32le"), np.full(160, np.nan, "<f4").tobytes(), "bad_audio"),
        (Start(encoding="pcm_f32le"), np.full(160, 9_000, "<f4").tobytes(), "bad_audio"),
        (Start(), b"\0" * (protocol.MAX_FRAME_BYTES + 2), "frame_too_large"),
    ],
)
async def test_audio_that_cannot_be_used_ends_the_stream_after_its_finals(
    start: Start, frame: bytes, code: str
) -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await begin(ws, start)
        pcm = np.frombuffer(quiet(0.5) + burst(1.0), "<i2")
        await send_audio(ws, (pcm / 32768).astype("<f4").tobytes() if start.encoding == "pcm_f32le" else pcm.tobytes())
        await ws.send(frame)
        messages = await heard_until(ws, Done)
        (error,) = of(Error, messages)
        assert (error.code, error.fatal) == (code, True)
        assert len(of(Final, messages)) == 1, "what was said before it is not lost"
        assert await closed_with(ws) == protocol.CLOSE_CLIENT_FAULT


async def test_audio_after_stop_is_refused() -> None:
    async with serving(FakeBackend(FakeOptions(service=ServiceTime(fixed_ms=50)))) as running, running.socket() as ws:
        await begin(ws)
        await send_audio(ws, SPEECH)
        await ws.send(encode(Stop()))
        await ws.send(burst(0.1))
        messages = await heard_until(ws, Done)
        assert [e.code for e in of(Error, messages)] == ["stopped"]
        assert len(of(Final, messages)) == 1


async def test_clipped_floats_are_limited_and_warned_of() -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await begin(ws, Start(encoding="pcm_f32le"))
        await ws.send(np.full(320, 1.5, "<f4").tobytes())
        (warning,) = await heard_until(ws, protocol.Warning)
        assert isinstance(warning, protocol.Warning)
        assert warning.code == "clipped"


async def test_silence_only() -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await begin(ws)
        await send_audio(ws, quiet(5))
        await ws.send(encode(Stop()))
        (done,) = of(Done, await heard_until(ws, Done))
        assert done == Done(protocol.SampleCount(80_000, 0, 80_000, 0), 0)


async def test_nothing_at_all() -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await begin(ws)
        await ws.send(b"")
        await ws.send(encode(Stop()))
        (done,) = await heard_until(ws, Done)
        assert done == Done(protocol.SampleCount(), 0)


async def test_finalize_is_acknowledged_after_its_final_and_the_stream_goes_on() -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await begin(ws)
        await send_audio(ws, quiet(0.5) + burst(1.0))
        await ws.send(encode(protocol.Finalize("now")))
        messages = await heard_until(ws, Finalized)
        assert messages[-1] == Finalized("now")
        assert isinstance(messages[-2], Final)
        await send_audio(ws, SPEECH)
        assert (await heard_until(ws, Final))[-1].segment_id == 1  # type: ignore[union-attr]


async def test_a_thousand_messages_at_once_are_a_thousand_answers() -> None:
    """More than may wait for a client that does not read; this one does."""
    async with serving(FakeBackend()) as running, running.socket() as ws:
        await begin(ws)
        texts = [encode(protocol.Finalize(str(number))).encode() for number in range(1_000)]
        ws.transport.write(b"".join(Frame(Opcode.TEXT, text).serialize(mask=True, extensions=[]) for text in texts))
        await ws.send(encode(Stop()))
        marks = of(Finalized, await heard_until(ws, Done))
        assert [mark.id for mark in marks] == [str(number) for number in range(1_000)]


async def test_a_client_that_vanishes_in_mid_word_frees_its_place_and_harms_none() -> None:
    backend = FakeBackend(FakeOptions(service=ServiceTime(fixed_ms=5)))
    async with serving(backend, max_streams=2, resume_window_s=0) as running:
        for _ in range(5):
            async with running.socket() as ws:
                await begin(ws)
                await send_audio(ws, quiet(0.5) + burst(0.7))
                ws.transport.abort()
        assert of(Final, await transcribe(running))
        await running.service.vacant.wait()
        assert len(running.service.scheduler) == 0


async def test_a_full_server_refuses_with_a_time_to_retry() -> None:
    async with serving(FakeBackend(), max_streams=1) as running, running.socket() as first, running.socket() as second:
        await begin(first)
        await second.send(encode(Start()))
        (error,) = await heard_until(second, Error)
        assert isinstance(error, Error)
        assert error.code == "overloaded"
        assert error.retry_after_s is not None
        assert await closed_with(second) == protocol.CLOSE_TRY_LATER
        await send_audio(first, SPEECH)
        await heard_until(first, Final)


async def test_a_stream_that_sends_nothing_is_closed() -> None:
    async with serving(FakeBackend(), idle_timeout_s=1) as running, running.socket() as ws:
        await begin(ws)
        messages = await heard_until(ws, Done)
        assert [e.code for e in of(Error, messages)] == ["idle_timeout"]


async def test_a_client_that_never_reads_is_closed_and_harms_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fills its socket and its outbox with finals, then counts as gone; another stream runs beside it."""
    monkeypatch.setattr("cohear_server.live.outbox.LIMIT", 16)
    # long words, so that few finals fill the sockets
    backend = FakeBackend(FakeOptions(script=lambda pcm: ["word" * 1_000]))
    async with serving(backend, resume_window_s=0) as running, running.socket() as ws:
        await begin(ws, Start(endpoint_ms=100, words=False))
        ws.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        ws.transport.pause_reading()
        chunk = burst(0.2) + quiet(0.3)
        beside = asyncio.create_task(transcribe(running))
        (stream,) = (s for s in running.service.streams.values())

        async def fill() -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await ws.send(chunk)

        filling = asyncio.create_task(fill())  # it hangs once the server is gone, as it reads nothing
        async with asyncio.timeout(200):
            await stream.outbox.closed.wait()  # its outbox overflows, or its socket takes nothing for too long
        filling.cancel()
        assert of(Final, await beside)
        await running.service.vacant.wait()
        ws.transport.abort()


async def test_a_server_that_shuts_down_ends_its_streams_in_order() -> None:
    async with serving(FakeBackend()) as running, running.socket() as ws, running.socket() as late:
        await begin(ws)
        await send_audio(ws, quiet(0.5) + burst(1.0))
        await ws.send(encode(protocol.Finalize("here")))
        await heard_until(ws, Finalized)
        await send_audio(ws, burst(1.0))
        (stream,) = running.service.streams.values()
        while stream.session.samples().received < 16_000 * 2.5:
            await heard_until(ws, Partial)
        draining = asyncio.create_task(running.service.drain(5.0))
        messages = await heard_until(ws, Done)
        assert of(protocol.Closing, messages)
        assert len(of(Final, messages)) == 1
        assert await closed_with(ws) == protocol.CLOSE_NORMAL
        await draining
        assert await get(running.address, "/readyz") == (503, "draining")
        await late.send(encode(Start()))
        (error,) = await heard_until(late, Error)
        assert isinstance(error, Error)
        assert error.code == "draining"


async def test_health_and_readiness() -> None:
    async with serving(FakeBackend()) as running:
        for path, status, key in (("/healthz", 200, "alive"), ("/readyz", 200, "ready")):
            assert await get(running.address, path) == (status, key)
        running.service.ready = False
        assert await get(running.address, "/readyz") == (503, "warming up")
        async with running.socket() as ws:
            await ws.send(encode(Start()))
            (error,) = await heard_until(ws, Error)
            assert isinstance(error, Error)
            assert error.code == "warming_up"


async def get(address: str, path: str) -> tuple[int, str]:
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    head, body = (await reader.read()).split(b"\r\n\r\n", 1)
    writer.close()
    return int(head.split()[1]), json.loads(body)["status"]
