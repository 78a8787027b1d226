"""One file, heard on an engine that live streams share: a thread reads and splits it, the loop has its windows decoded.

    file -> reader's thread: decode, detect speech, split -> BULK jobs, a few at a time -> text, in the file's order

`pipeline` is the way for many files on an engine of their own. It knows no protocol and no output format.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from cohear_client.files import DAMAGES

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeResult, JobKind, Pcm
from ..errors import ClientError, CohearError, ServerError
from ..scheduling.dispatcher import Dispatcher, JobTimes
from .language import FileLanguage
from .options import HearingOptions
from .sources import Source
from .speech import make_detector
from .splitter import Splitter, Window
from .text import WindowText, placed

T = TypeVar("T")

AHEAD = 4
"""windows of one file that wait or are decoded"""

LONGEST_S = 86_400.0
"""of a file: a small one may hold years of silence, and would keep a reader from all others"""

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """An open file, to be read at any place; whoever hears it closes it."""

    file: BinaryIO
    name: str
    """what its owner calls it; in errors"""
    tenant: str


@dataclass(frozen=True, slots=True)
class Bench:
    """What all uploads share."""

    dispatcher: Dispatcher
    model: str
    readers: Executor
    room: asyncio.Semaphore
    """windows of all files that may wait or be decoded"""


class Upload:
    """Iterate `texts` once, and close it."""

    def __init__(self, bench: Bench, uploaded: UploadedFile, hearing: HearingOptions) -> None:
        """`hearing.language` must be told where the model has only one."""
        self.audio_s = 0.0
        """read so far"""
        self.damage: CohearError | None = None
        """what of the file could not be read, although the rest was"""
        self._bench = bench
        self._uploaded = uploaded
        self._hearing = hearing
        self._id = f"file-{next(_numbers)}"
        self._given_up = threading.Event()
        self._reading = threading.Lock()
        """one thread at a time: a step outlives whoever waited for it"""

    async def texts(self) -> AsyncGenerator[WindowText, None]:
        """What was heard, window by window, as soon as it is known. Raises ClientError for what is no audio file, and
        ServerError where a window could not be decoded."""
        windows = self._windows()
        waiting: deque[asyncio.Task[WindowText]] = deque()
        try:
            language, first = await self._first(windows)
            for window, result in first:
                other = language is not None and result.words and result.language != language
                yield placed(window, await self._decoded(window, language) if other else result)
            async for window in windows:
                waiting.append(asyncio.create_task(self._text(window, language)))
                if len(waiting) >= AHEAD:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            self._given_up.set()
            for task in waiting:
                task.cancel()
            await windows.aclose()

    async def _first(self, windows: AsyncIterator[Window]) -> tuple[str | None, list[tuple[Window, DecodeResult]]]:
        """The language, and what was heard in the windows that tell it: one after the other, until it is settled."""
        spoken = FileLanguage(self._hearing.language)
        first: list[tuple[Window, DecodeResult]] = []
        while spoken.language is None and (window := await anext(windows, None)) is not None:
            result = await self._decoded(window, None)
            first.append((window, result))
            spoken.observe(result, len(window.pcm) / SAMPLE_RATE_HZ)
        return spoken.settle(), first

    async def _windows(self) -> AsyncGenerator[Window, None]:
        source = await self._read(lambda: Source(Path(self._uploaded.name), file=self._uploaded.file))
        splitter = Splitter(self._hearing.split, make_detector(self._hearing.vad))
        windows = splitter.windows(self._counted(source))
        try:
            while (window := await self._read(lambda: next(windows, None))) is not None:
                yield window
        except CohearError as fault:
            if fault.code not in DAMAGES:
                raise
            self.damage = fault
        finally:
            self._bench.readers.submit(self._alone, source.close)

    def _counted(self, source: Source) -> Iterator[Pcm]:
        for block in source.blocks():
            if self._given_up.is_set():
                return
            self.audio_s += len(block) / SAMPLE_RATE_HZ
            if self.audio_s > LONGEST_S:
                hours = f"{self._uploaded.name}: holds more than {LONGEST_S / 3600:g} hours of sound"
                raise ClientError("too_long", hours, "send it in parts")
            yield block

    async def _read(self, work: Callable[[], T]) -> T:
        """In a reader's thread. Raises CohearError alone."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._bench.readers, self._alone, work)
        except CohearError:
            raise
        except Exception as fault:  # the libraries below raise anything
            what = f"{self._uploaded.name}: could not be read: {fault!r:.200}"
            raise ClientError("bad_file", what, "convert it to wav") from fault

    def _alone(self, work: Callable[[], T]) -> T:
        with self._reading:
            return work()

    async def _text(self, window: Window, language: str | None) -> WindowText:
        return placed(window, await self._decoded(window, language))

    async def _decoded(self, window: Window, language: str | None) -> DecodeResult:
        options = self._hearing.decode_options(self._bench.model, language)
        number = f"{self._id}-{next(_numbers)}"
        job = DecodeJob(number, self._id, self._uploaded.tenant, 0, window.pcm, JobKind.BULK, math.inf, options)
        outcome: asyncio.Future[DecodeResult] = asyncio.get_running_loop().create_future()

        def deliver(result: DecodeResult, _: JobTimes) -> None:
            if not outcome.done():
                outcome.set_result(result)

        async with self._bench.room:
            self._bench.dispatcher.submit(job, deliver)
            try:
                result = await outcome
            finally:
                if not outcome.done() or outcome.cancelled():
                    self._bench.dispatcher.cancel(job.id, job.session_id)
        if result.error is not None:
            raise _of_a_file(result.error)
        return result


def _of_a_file(fault: CohearError) -> CohearError:
    """A window's fault, for whoever sent the file: no window is theirs."""
    if isinstance(fault, ClientError):
        return fault
    return ServerError(fault.code, f"a part of the file could not be decoded: {fault.message}", "send it again")
