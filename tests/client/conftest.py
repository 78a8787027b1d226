"""Servers and audio for the client's tests."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from .fake_server import FakeServer, Script

Serve = Callable[[Script], FakeServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts fake servers in a thread of their own: for code that runs its own event loop."""
    with contextlib.ExitStack() as stack:
        yield lambda script: stack.enter_context(_in_thread(FakeServer(script)))


@contextlib.contextmanager
def _in_thread(server: FakeServer) -> Iterator[FakeServer]:
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        finished = asyncio.Event()
        async with server.running():
            started.set_result((asyncio.get_running_loop(), finished))
            await finished.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    loop, finished = started.result()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(finished.set)
        thread.join()


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """One second of a 16 kHz mono tone."""
    return write_tone(tmp_path / "tone.wav")


def write_tone(path: Path, seconds: float = 1.0, rate_hz: int = 16_000, channels: int = 1) -> Path:
    """A tone as an audio file, in the format of its suffix."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = (0.3 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
    sf.write(path, np.repeat(wave[:, None], channels, axis=1), rate_hz)
    return path
