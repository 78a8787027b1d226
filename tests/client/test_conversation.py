from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from cohear_client import AudioFile, ClientError, Done, ServerError, connect, converse, transcribe
from cohear_client.protocol import Error, Ready, SampleCount, ServerMessage, Warning

from .fake_server import FakeServer

DONE = Done(SampleCount(), 0)
SHED = Done(SampleCount(10, 8, 0, 2), 1)


class LocalStream:
    """A stream in this process that is done after `limit` blocks, or when stopped."""

    def __init__(self, limit: int = 1_000, said: Sequence[ServerMessage] = ()) -> None:
        self.ready = Ready("", "", "fake")
        self.blocks: list[bytes] = []
        self._limit = limit
        self._said = said
        self._over = asyncio.Event()

    async def send(self, pcm: bytes, /) -> None:
        self.blocks.append(pcm)
        if len(self.blocks) >= self._limit:
            self._over.set()

    async def finalize(self, id: str, /) -> None:
        raise AssertionError("not used")

    async def stop(self) -> None:
        self._over.set()

    async def __aiter__(self) -> AsyncIterator[ServerMessage]:
        await self._over.wait()
        for event in self._said:
            yield event
        if SHED not in self._said:
            yield DONE


async def failing(fault: Exception) -> AsyncIterator[bytes]:
    yield b"ab"
    raise fault


async def once() -> AsyncIterator[bytes]:
    yield b"ab"


async def endless() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0)
        yield b"ab"


async def test_any_stream_will_do() -> None:
    stream, events = LocalStream(), list[ServerMessage]()
    with pytest.raises(ClientError, match="damaged"):
        await converse(stream, failing(ClientError("truncated", "damaged")), events.append)
    assert stream.blocks == [b"ab"]
    assert events == [DONE]  # what came before the damage was transcribed to the end


async def test_a_source_that_breaks_ends_the_conversation() -> None:
    with pytest.raises(OSError, match="disk"):
        await converse(LocalStream(), failing(OSError("disk")), lambda event: None)


async def test_a_listener_that_breaks_ends_the_sending() -> None:
    def break_off(event: ServerMessage) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await converse(LocalStream(limit=3), endless(), break_off)


async def test_a_service_that_is_done_before_the_audio_is_told() -> None:
    events = list[ServerMessage]()
    with pytest.raises(ServerError, match="before all audio was sent"):
        await converse(LocalStream(limit=3), endless(), events.append)
    assert events == [DONE]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([Error("decode_failed", "no", "", fatal=False, start_s=1.0, end_s=2.5)], "1.0 s to 2.5 s"),
        ([Warning("audio_lost", "no", 3.0, 4.0), Warning("degraded", "slower")], "3.0 s to 4.0 s"),
        ([SHED], "2 samples"),
    ],
)
async def test_audio_without_text_is_told_in_the_end(said: list[ServerMessage], told: str) -> None:
    events = list[ServerMessage]()
    with pytest.raises(ServerError, match=told) as caught:
        await converse(LocalStream(said=said), once(), events.append)
    assert caught.value.code == "audio_lost"
    assert events[: len(said)] == said


async def test_a_file_over_the_network(tone: Path) -> None:
    async with FakeServer().running() as server:
        with AudioFile(tone) as file:
            transcript = await transcribe(file, partial(connect, server.url), file.start())
        assert len(server.seen.audio) == 32_000
    assert transcript.text == "hello world0 hello world1"
