"""The same streams without asyncio, for scripts and notebooks.

A thread runs an event loop for each open stream, and every call waits for it, so no logic is written twice. One thread
may send audio while another reads events.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from .connection import DEFAULT_URL, connect
from .conversation import transcribe
from .files import AudioFile
from .pcm import AudioLike
from .protocol import Ready, ServerMessage, Start
from .stream import Stream
from .transcript import Transcript

T = TypeVar("T")
Wait: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]


class SyncStream:
    """`Stream` with plain calls; made by `connect_sync`."""

    def __init__(self, stream: Stream, wait: Wait) -> None:
        self._stream = stream
        self._wait = wait

    @property
    def ready(self) -> Ready:
        return self._stream.ready

    def send(self, pcm: AudioLike) -> None:
        """As `Stream.send`."""
        self._wait(self._stream.send(pcm))

    def finalize(self, id: str) -> None:
        """As `Stream.finalize`."""
        self._wait(self._stream.finalize(id))

    def finalized(self, id: str) -> None:
        """As `Stream.finalized`."""
        self._wait(self._stream.finalized(id))

    def stop(self) -> None:
        """As `Stream.stop`."""
        self._wait(self._stream.stop())

    def __iter__(self) -> Iterator[ServerMessage]:
        while (event := self._wait(self._next())) is not None:
            yield event

    async def _next(self) -> ServerMessage | None:
        # StopAsyncIteration cannot leave a coroutine
        return await anext(self._stream, None)


@contextlib.contextmanager
def connect_sync(url: str = DEFAULT_URL, start: Start | None = None, **options: Any) -> Iterator[SyncStream]:
    """As `connect`: `with connect_sync(url) as stream: ...`."""
    with _loop_thread() as wait:
        opening = connect(url, start, **options)
        stream = wait(opening.__aenter__())
        try:
            yield SyncStream(stream, wait)
        finally:
            wait(opening.__aexit__(None, None, None))


def transcribe_file(path: str | Path, url: str = DEFAULT_URL, **options: Any) -> Transcript:
    """The transcript of an audio file, by the server at `url`; `options` are fields of `Start`, and `api_key`.

    Raises ClientError for a bad file, and what `connect` and the stream raise.
    """
    opening = partial(connect, url, api_key=options.pop("api_key", None))
    with AudioFile(path) as file, _loop_thread() as wait:
        transcript: Transcript = wait(transcribe(file, opening, file.start(**options)))
    return transcript


@contextlib.contextmanager
def _loop_thread() -> Iterator[Wait]:
    """An event loop in a thread, and a function that runs a coroutine there and waits for it."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        finished = asyncio.Event()
        started.set_result((asyncio.get_running_loop(), finished))
        await finished.wait()  # then `asyncio.run` cancels what still runs, and waits for it

    thread = threading.Thread(target=lambda: asyncio.run(live()), name="cohear client loop", daemon=True)
    thread.start()
    loop, finished = started.result()

    def wait(work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C while waiting: the work must not go on alone
            raise

    try:
        yield wait
    finally:
        loop.call_soon_threadsafe(finished.set)
        thread.join()
