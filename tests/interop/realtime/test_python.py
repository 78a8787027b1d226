"""OpenAI's library for Python, as it is, over the Realtime API, against a server with tiny.en and real speech."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from cohear_client import Final, connect
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.exceptions import InvalidStatus

from ..conftest import Server
from .speech import RATE_HZ, clip, pieces, quiet

BOOKS, APRIL = clip("LJ001-0004"), clip("an4-cen8-mmsh-b")
TURNS = (BOOKS, APRIL)
TRANSCRIPTION = "conversation.item.input_audio_transcription."
COMPLETED = TRANSCRIPTION + "completed"

Event = Any
"""of the library's many"""


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.url, api_key=server.key, max_retries=0) as client:
        yield client


async def configure(connection: AsyncRealtimeConnection, **heard: Any) -> None:
    transcription = {"model": "gpt-4o-transcribe", "language": "en", **heard.pop("transcription", {})}
    session: Any = {"type": "transcription", "audio": {"input": {"transcription": transcription, **heard}}}
    await connection.session.update(session=session)


async def append(connection: AsyncRealtimeConnection, *parts: bytes) -> None:
    for audio in pieces(b"".join(parts)):
        await connection.input_audio_buffer.append(audio=audio)


async def heard(connection: AsyncRealtimeConnection, completed: int = 1) -> list[Event]:
    """Events up to so many completed items, or an error."""
    events: list[Event] = []
    async with asyncio.timeout(60):
        while sum(event.type == COMPLETED for event in events) < completed:
            events.append(await connection.recv())
            if events[-1].type == "error":
                break
    return events


def of(kind: str, events: list[Event]) -> list[Event]:
    return [event for event in events if event.type == kind]


def deltas(events: list[Event], item_id: str) -> str:
    return "".join(e.delta for e in of(TRANSCRIPTION + "delta", events) if e.item_id == item_id)


async def test_turns_that_the_server_ends(client: AsyncOpenAI) -> None:
    async with client.realtime.connect(model="whisper-1", extra_query={"intent": "transcription"}) as connection:
        await configure(connection, turn_detection={"type": "server_vad", "silence_duration_ms": 1_500})
        for turn in TURNS:
            await append(connection, turn, quiet(2.5))
        events = await heard(connection, 2)
    assert [event.type for event in events[:2]] == ["session.created", "session.updated"]
    assert events[1].session.audio.input.transcription.model == "tiny.en"
    assert len({event.event_id for event in events}) == len(events)
    done = of(COMPLETED, events)
    items = [event.item_id for event in done]
    for kind in ("speech_started", "speech_stopped", "committed"):
        assert [event.item_id for event in of(f"input_audio_buffer.{kind}", events)] == items
    assert [event.previous_item_id for event in of("input_audio_buffer.committed", events)] == [None, items[0]]
    for event in done:
        assert event.transcript == deltas(events, event.item_id)
    assert "the block books" in done[0].transcript
    assert "April" in done[1].transcript
    times = [
        ms
        for started, stopped in zip(
            of("input_audio_buffer.speech_started", events),
            of("input_audio_buffer.speech_stopped", events),
            strict=True,
        )
        for ms in (started.audio_start_ms, stopped.audio_end_ms)
    ]
    assert times == sorted(times)
    assert times[-1] <= 1_000 * (sum(map(len, TURNS)) + 2 * len(quiet(2.5))) / (2 * RATE_HZ)
    assert done[0].usage.type == "duration"
    assert done[0].usage.seconds == pytest.approx(len(BOOKS) / (2 * RATE_HZ), abs=1.5)


async def test_items_that_the_client_commits(client: AsyncOpenAI) -> None:
    async with client.realtime.connect(model="whisper-1") as connection:
        await configure(connection, turn_detection=None)
        for turn in TURNS:
            await append(connection, turn, quiet(1.5), turn)  # a pause is no end of an item
            await connection.input_audio_buffer.commit()
        events = await heard(connection, 2)
        first, second = of(COMPLETED, events)
        assert first.transcript.count("the block books") == 2
        assert second.transcript.count("April") == 2
        for event in (first, second):
            assert event.transcript == deltas(events, event.item_id)
        assert not of("input_audio_buffer.speech_started", events)
        await connection.input_audio_buffer.commit()
        (error,) = of("error", await heard(connection))
        assert error.error.code == "input_audio_buffer_commit_empty"
        await append(connection, BOOKS)
        await connection.input_audio_buffer.clear()
        await append(connection, APRIL)
        await connection.input_audio_buffer.commit()
        (after,) = of(COMPLETED, await heard(connection))
        assert "April" in after.transcript
        assert "books" not in after.transcript


async def test_early_text_is_told_before_the_end_of_the_speech(client: AsyncOpenAI) -> None:
    async with client.realtime.connect(model="gpt-realtime-whisper") as connection:
        await configure(connection, transcription={"delay": "low"}, turn_detection={"type": "semantic_vad"})
        for audio in pieces(BOOKS + quiet(1.5)):
            await connection.input_audio_buffer.append(audio=audio)
            await asyncio.sleep(0.05)  # four times as fast as speech: an engine has time for partials
        events = await heard(connection)
    kinds = [event.type for event in events]
    assert kinds.index(TRANSCRIPTION + "delta") < kinds.index("input_audio_buffer.speech_stopped")


async def test_the_text_is_that_of_our_own_protocol(client: AsyncOpenAI, server: Server) -> None:
    async with connect(f"ws://{server.address}", api_key=server.key, sample_rate=RATE_HZ) as stream:
        await stream.send(BOOKS + quiet(1.5))
        await stream.stop()
        ours = " ".join([event.text async for event in stream if isinstance(event, Final)])
    async with client.realtime.connect(model="whisper-1") as connection:
        await configure(connection, turn_detection=None)
        await append(connection, BOOKS, quiet(1.5))
        await connection.input_audio_buffer.commit()
        theirs = of(COMPLETED, await heard(connection))[0].transcript
    assert theirs == ours


async def test_a_client_secret(client: AsyncOpenAI, server: Server) -> None:
    heard_as: Any = {"format": {"type": "audio/pcm", "rate": RATE_HZ}, "turn_detection": None}
    secret = await client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={"type": "transcription", "audio": {"input": heard_as}},
    )
    assert secret.session.type == "transcription"
    async with AsyncOpenAI(base_url=server.url, api_key=secret.value) as browser:
        async with browser.realtime.connect(model="whisper-1") as connection:
            await append(connection, APRIL)
            await connection.input_audio_buffer.commit()
            assert "April" in of(COMPLETED, await heard(connection))[0].transcript
        with pytest.raises(openai.AuthenticationError):
            await browser.realtime.client_secrets.create()
    with pytest.raises(openai.BadRequestError):
        await client.realtime.client_secrets.create(expires_after={"anchor": "created_at", "seconds": 1})


async def test_the_beta(server: Server) -> None:
    change: Any = {"input_audio_format": "pcm16", "input_audio_transcription": {"model": "whisper-1"}}
    address = f"ws://{server.address}/v1"
    async with AsyncOpenAI(base_url=server.url, websocket_base_url=address, api_key=server.key) as client:
        made = await client.beta.realtime.transcription_sessions.create(**change)
        assert made.client_secret.value.startswith("ek_")
        events: list[Event] = []
        async with client.beta.realtime.connect(model="whisper-1") as connection, asyncio.timeout(60):
            commits: Any = {**change, "turn_detection": None}
            await connection.transcription_session.update(session=commits)
            for audio in pieces(APRIL):
                await connection.input_audio_buffer.append(audio=audio)
            await connection.input_audio_buffer.commit()
            while not events or events[-1].type != COMPLETED:
                events.append(await connection.recv())
    assert "April" in events[-1].transcript
    kinds = [event.type for event in events]
    assert kinds[:2] == ["transcription_session.created", "transcription_session.updated"]
    assert "conversation.item.created" in kinds


async def test_who_has_no_key_hears_so(server: Server) -> None:
    async with AsyncOpenAI(base_url=server.url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(InvalidStatus, match="401"):
            async with client.realtime.connect(model="whisper-1"):
                pass
        with pytest.raises(openai.AuthenticationError):
            await client.realtime.client_secrets.create()
