"""Transcribes files on a server: one stream for each file, several at a time, as fast as the server takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cohear_client.connection import connect
from cohear_client.conversation import transcribe
from cohear_client.errors import CohearError, OverloadError
from cohear_client.fileevents import Advanced, Event, Finished, Started
from cohear_client.files import ALL, DAMAGES, AudioFile, Choice
from cohear_client.protocol import ServerMessage
from cohear_client.transcript import TranscriptBuilder

from .progress import settled_s

_END = object()
RETRIES = 10
"""How often a file waits for a server without room, each time as long as the server asks."""

PARTLY = DAMAGES | {"audio_lost"}
"""Faults of a file whose other audio has become text, which is given."""


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    url: str
    jobs: int
    """files at a time"""
    start: dict[str, Any]
    """fields of each stream's `start`"""
    api_key: str | None = None
    choice: Choice = ALL


def transcribe_remotely(paths: Iterable[Path | None], options: RemoteOptions, hear: Callable[[Event], None]) -> None:
    """Every file, with its events as they come; None among the paths says that none comes soon. Faults of a file are in
    its `Finished`."""
    asyncio.run(_all(paths, _Remote(options, hear)))


async def _all(paths: Iterable[Path | None], work: _Remote) -> None:
    coming = iter(paths)
    async with asyncio.TaskGroup() as group:
        # in a thread: a folder that is watched lets it wait
        while (path := await asyncio.to_thread(next, coming, _END)) is not _END:
            if isinstance(path, Path):
                await work.enter()
                group.create_task(work.one(path))


class _Remote:
    def __init__(self, options: RemoteOptions, hear: Callable[[Event], None]) -> None:
        self._options = options
        self._tell = hear
        self._free = asyncio.Semaphore(options.jobs)

    async def enter(self) -> None:
        """Wait until one more file may be sent."""
        await self._free.acquire()

    async def one(self, path: Path) -> None:
        """A file that has entered, to its end."""
        heard = TranscriptBuilder()
        fault: CohearError | None = None
        audio_s = 0.0
        try:
            audio_s = await self._patiently(path, heard)
        except CohearError as damage:
            fault = damage
        finally:
            self._free.release()
        whole = heard.transcript()
        if fault is not None and not (fault.code in PARTLY and whole.samples is not None):
            self._tell(Finished(path, None, fault, 0.0))
        else:
            self._tell(Finished(path, whole, fault, audio_s))

    async def _patiently(self, path: Path, heard: TranscriptBuilder) -> float:
        for _ in range(RETRIES):
            try:
                return await self._hear(path, heard)
            except OverloadError as full:
                if heard.transcript().segments:
                    raise
                await asyncio.sleep(full.retry_after_s)
        return await self._hear(path, heard)

    async def _hear(self, path: Path, heard: TranscriptBuilder) -> float:
        with AudioFile(path, choice=self._options.choice) as audio:
            self._tell(Started(path, audio.duration_s))
            before_s = 0.0

            def hear(event: ServerMessage) -> None:
                nonlocal before_s
                heard.add(event)
                settled = settled_s(event, audio.rate_hz)
                if settled is not None and settled > before_s:
                    self._tell(Advanced(path, settled - before_s))
                    before_s = settled

            opened = partial(connect, self._options.url, api_key=self._options.api_key)
            await transcribe(audio, opened, audio.start(**self._options.start), hear)
            return audio.read_s
