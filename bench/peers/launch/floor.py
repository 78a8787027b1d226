"""faster-whisper behind a websocket, as plainly as one would write it: PORT MODEL CORES ENDPOINT_MS.

PCM16 at 16 kHz in binary frames; {"partial": text} of the running segment as often as the model gets round to it,
{"final": text} when it is over; the text "end" is answered with what is left and {"done": true}. One model, one decode
at a time over all streams in turn; a final goes first.
"""

from __future__ import annotations

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.vad import get_vad_model
from numpy.typing import NDArray
from websockets.asyncio.server import ServerConnection, serve

RATE_HZ = 16_000
VAD_WINDOW = 512
VAD_STEP = 3
"""windows that are examined together"""
SPEECH = 0.5
LONGEST_S = 25.0
LEAD_S = 0.3
"""kept before the first voiced window"""
FRESH_S = 0.3
"""a partial is not worth it for less new audio"""


@dataclass(eq=False)
class Stream:
    socket: ServerConnection
    endpoint: int
    """samples of silence that end a segment"""
    audio: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    examined: int = 0
    """samples that the speech detector has seen"""
    voiced: int = 0
    """end of the last voiced window; 0: no speech yet"""
    decoded: int = 0
    finals: list[NDArray[np.float32]] = field(default_factory=list)
    ended: bool = False

    def take(self, frame: bytes) -> None:
        self.audio = np.concatenate([self.audio, np.frombuffer(frame, np.int16).astype(np.float32) / 32768])
        whole = len(self.audio) // VAD_WINDOW * VAD_WINDOW
        if whole - self.examined < VAD_STEP * VAD_WINDOW:
            return
        # from its last second on: the detector needs a run-up
        since = max(0, self.examined - RATE_HZ // VAD_WINDOW * VAD_WINDOW)
        chances = np.asarray(get_vad_model()(self.audio[since:whole])).reshape(-1)
        fresh = chances[(self.examined - since) // VAD_WINDOW :]
        for i, chance in enumerate(fresh):
            if chance >= SPEECH:
                self.voiced = self.examined + (i + 1) * VAD_WINDOW
        self.examined = whole
        if self.voiced and (whole - self.voiced >= self.endpoint or whole >= LONGEST_S * RATE_HZ):
            self._close(whole)
        elif not self.voiced and whole > LEAD_S * RATE_HZ:
            cut = (whole - round(LEAD_S * RATE_HZ)) // VAD_WINDOW * VAD_WINDOW
            self.audio, self.examined = self.audio[cut:], whole - cut

    def _close(self, end: int) -> None:
        self.finals.append(self.audio[:end])
        self.audio, self.examined, self.voiced, self.decoded = self.audio[end:], 0, 0, 0

    def end(self) -> None:
        if self.voiced:
            self._close(len(self.audio))
        self.ended = True


class Server:
    def __init__(self, model: str, cores: int, endpoint_ms: int) -> None:
        self._model = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=cores)
        self._pool = ThreadPoolExecutor(1)
        self._streams: list[Stream] = []
        self._endpoint = endpoint_ms * RATE_HZ // 1000
        self._news = asyncio.Event()

    async def serve(self, socket: ServerConnection) -> None:
        stream = Stream(socket, self._endpoint)
        self._streams.append(stream)
        try:
            async for message in socket:
                if isinstance(message, bytes):
                    stream.take(message)
                else:
                    stream.end()
                self._news.set()
        finally:
            self._streams.remove(stream)

    async def work(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            busy = True
            while busy:
                busy = False
                for stream in list(self._streams):
                    for final in [s for s in list(self._streams) if s.finals]:
                        await self._final(final)
                        busy = True
                    busy |= await self._partial(stream)

    async def _final(self, stream: Stream) -> None:
        await self._say(stream, {"final": await self._decode(stream.finals.pop(0))})
        if stream.ended and not stream.finals:
            await self._say(stream, {"done": True})

    async def _partial(self, stream: Stream) -> bool:
        if stream.ended and not stream.finals:
            await self._say(stream, {"done": True})
            return False
        if not stream.voiced or len(stream.audio) - stream.decoded < FRESH_S * RATE_HZ:
            return False
        stream.decoded, audio = len(stream.audio), stream.audio
        text = await self._decode(audio)
        if not stream.finals:
            await self._say(stream, {"partial": text})
        return True

    async def _say(self, stream: Stream, message: dict[str, object]) -> None:
        if stream in self._streams:
            await stream.socket.send(json.dumps(message))

    async def _decode(self, audio: NDArray[np.float32]) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._transcribe, audio)

    def _transcribe(self, audio: NDArray[np.float32]) -> str:
        segments, _ = self._model.transcribe(
            audio, language="en", beam_size=1, condition_on_previous_text=False, without_timestamps=True
        )
        return " ".join(segment.text.strip() for segment in segments)


async def main() -> None:
    server = Server(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    async with serve(server.serve, "127.0.0.1", int(sys.argv[1]), compression=None, ping_interval=None):
        await server.work()


asyncio.run(main())
