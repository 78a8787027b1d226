"""Both directions of a stream at once: send all audio, receive every event, end in order.

It drives any `AudioStream`, remote or in one process, and knows no files, sockets or screens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from .errors import CohearError, ServerError
from .files import AudioFile
from .losses import Losses
from .pacing import paced
from .pcm import Pcm
from .protocol import ServerMessage, Start
from .stream import AudioStream
from .transcript import Transcript, TranscriptBuilder

Connect: TypeAlias = Callable[[Start], AbstractAsyncContextManager[AudioStream]]
"""How to open a stream: `partial(connect, url)`, or the `connect` of a service in this process."""


async def converse(
    stream: AudioStream, audio: AsyncIterable[Pcm | bytes], hear: Callable[[ServerMessage], None]
) -> None:
    """Send `audio` and then `stop`, while `hear` gets each event up to `Done`.

    If the audio itself fails, the audio before is still transcribed to the end, and then the fault is raised. Raises
    what ended the stream, and at the end ServerError: `ended_early` if the server was done before the audio,
    `audio_lost` if some audio has no text.
    """
    faults: list[CohearError] = []
    losses = Losses()
    try:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_feed(stream, audio, faults))
            async for event in stream:
                losses.add(event)
                hear(event)
            early = sending.cancel()  # False if all was sent
    except BaseExceptionGroup as group:  # of one: either direction's fault ends the other
        raise group.exceptions[0] from None
    if faults:
        raise faults[0]
    if early:
        raise ServerError("ended_early", "the server ended the stream before all audio was sent", "send the rest again")
    losses.check()


async def transcribe(
    file: AudioFile, connect: Connect, start: Start, hear: Callable[[ServerMessage], None] | None = None
) -> Transcript:
    """Transcribe a file as fast as the service takes it; `start` must describe its audio.

    Raises ClientError for a file that is damaged inside, and what `converse` raises; `hear` has had all events by then.
    """
    heard = TranscriptBuilder()

    def take(event: ServerMessage) -> None:
        heard.add(event)
        if hear is not None:
            hear(event)

    async with connect(start) as stream:
        await converse(stream, paced(file.blocks(), start, speed=0), take)
    return heard.transcript()


async def _feed(stream: AudioStream, audio: AsyncIterable[Pcm | bytes], faults: list[CohearError]) -> None:
    """Send all audio, then stop. Faults are kept, not raised: finals of what was sent are still to come."""
    try:
        async for block in audio:
            await stream.send(block if isinstance(block, bytes) else block.tobytes())
    except CohearError as fault:
        faults.append(fault)
    try:
        await stream.stop()
    except CohearError as fault:
        faults.append(fault)
