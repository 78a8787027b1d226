"""The microphone as a source of audio blocks. Needs the extra `cohear[mic]` (sounddevice).

The sound card's thread hands blocks to the event loop. When the sender is a minute behind, the oldest blocks are
dropped and replaced by silence, so that times stay those of the recording. The places of dropped blocks are kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from .errors import ClientError
from .protocol import Start

RATE_HZ = 16_000
BLOCK_S = 0.02
QUEUE_S = 60.0
"""Most audio that waits for the sender, for example during an outage; older audio is dropped and counted."""

MAX_PLACES = 100
"""Most dropped places that are kept; further ones make the last one longer."""


class Microphone:
    """Mono PCM16 from an input device, while the context is open."""

    def __init__(self, device: int | str | None = None, rate_hz: int = RATE_HZ) -> None:
        """`device` is a number or a part of a name; None is the system's default input."""
        self.rate_hz = rate_hz
        self.dropped_samples = 0
        self.dropped: list[tuple[float, float]] = []
        """dropped places, as seconds [start, end) of the recording"""
        self._device = device
        # bounded: the oldest block goes when the sender is QUEUE_S behind, see `_push`
        self._blocks: deque[bytes] = deque()
        self._missing = 0  # samples that were dropped in front of them
        self._given = 0
        self._arrived = asyncio.Event()
        self._closed = False
        self._card: Any = None

    def start(self, **options: Any) -> Start:
        """A `start` that describes this audio; `options` are further fields of it."""
        return Start(sample_rate=self.rate_hz, **options)

    async def blocks(self) -> AsyncIterator[bytes]:
        """Blocks of BLOCK_S as they are recorded, until `close`; silence where audio was dropped."""
        while True:
            while self._blocks:
                block = self._substitute() if self._missing else self._blocks.popleft()
                self._given += len(block) // 2
                yield block
            if self._closed:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def close(self) -> None:
        """Stop recording; `blocks` gives what was recorded, and ends."""
        if self._card is not None:
            self._card.stop()
            self._card.close()
            self._card = None
        self._closed = True
        self._arrived.set()

    async def __aenter__(self) -> Self:
        """Start recording. Raises ClientError (`no_sounddevice`, `no_microphone`)."""
        sounddevice = _sounddevice()
        loop = asyncio.get_running_loop()

        def recorded(data: Any, _frames: int, _time: Any, _status: Any) -> None:
            loop.call_soon_threadsafe(self._push, bytes(data))

        try:
            self._card = sounddevice.RawInputStream(
                samplerate=self.rate_hz,
                blocksize=round(BLOCK_S * self.rate_hz),
                device=self._device,
                channels=1,
                dtype="int16",
                callback=recorded,
            )
            self._card.start()
        except (sounddevice.PortAudioError, ValueError) as fault:
            self.close()
            raise _no_microphone(str(fault)) from fault
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def _push(self, block: bytes) -> None:
        self._blocks.append(block)
        while len(self._blocks) * BLOCK_S > QUEUE_S:
            lost = len(self._blocks.popleft()) // 2
            self.dropped_samples += lost
            self._missing += lost
        self._arrived.set()

    def _substitute(self) -> bytes:
        """Silence for some of the samples that are missing here."""
        count = min(self._missing, round(BLOCK_S * self.rate_hz))
        self._missing -= count
        start_s, end_s = self._given / self.rate_hz, (self._given + count) / self.rate_hz
        if self.dropped and (self.dropped[-1][1] == start_s or len(self.dropped) == MAX_PLACES):
            start_s = self.dropped.pop()[0]
        self.dropped.append((start_s, end_s))
        return bytes(2 * count)


def input_devices() -> list[str]:
    """One line an input device: its number, name and channels. Raises ClientError."""
    sounddevice = _sounddevice()
    try:
        devices: list[dict[str, Any]] = list(sounddevice.query_devices())
    except sounddevice.PortAudioError as fault:
        raise _no_microphone(str(fault)) from fault
    inputs = [(number, d) for number, d in enumerate(devices) if d["max_input_channels"] > 0]
    return [f"{number:3}  {d['name']} ({d['max_input_channels']} channels)" for number, d in inputs]


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as fault:
        raise ClientError(
            "no_sounddevice", "microphone support is not installed", "pip install 'cohear[mic]'"
        ) from fault
    except OSError as fault:  # the package is there, the system's PortAudio is not
        raise ClientError(
            "no_sounddevice", f"the audio library cannot be loaded ({fault})", "install PortAudio (apt: libportaudio2)"
        ) from fault
    return sounddevice


def _no_microphone(reason: str) -> ClientError:
    return ClientError("no_microphone", f"cannot record ({reason})", "see `cohear mic --list-devices`")
