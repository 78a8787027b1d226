"""Audio and a backend for the tests of files."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import soundfile
from cohear_server.core.jobs import DecodeJob, DecodeResult, HypothesisWord, Pcm
from cohear_server.engine.backend import ModelInfo
from cohear_server.engine.second_try import as_tried, review
from cohear_server.errors import ServerError

STEPS_S = (2.0, 4.0)


def bursts(lengths_s: Sequence[float], rate_hz: int = 16_000, pause_s: float = 1.5) -> Pcm:
    """Tones with pauses between them."""
    parts = []
    for length_s in lengths_s:
        time_s = np.arange(int(length_s * rate_hz)) / rate_hz
        parts += [np.zeros(int(pause_s * rate_hz)), 0.3 * np.sin(2 * np.pi * (200 + 100 * length_s) * time_s)]
    parts.append(np.zeros(int(pause_s * rate_hz)))
    return (np.concatenate(parts) * 32767).astype(np.int16)


def write(path: Path, pcm: Pcm, rate_hz: int = 16_000) -> Path:
    soundfile.write(path, pcm, rate_hz)
    return path


def write_video(path: Path, pcm: Pcm, *, audio: bool = True) -> Path:
    """A film of a grey picture, with sound or without; the container is that of the suffix."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        sound = container.add_stream("aac", rate=16_000, layout="mono") if audio else None
        for _ in range(len(pcm) // 1600):
            image = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 99, np.uint8), "rgb24")
            container.mux(picture.encode(image))
        container.mux(picture.encode())
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(pcm[None], "s16", "mono")
            frame.sample_rate = 16_000
            container.mux(sound.encode(frame))
            container.mux(sound.encode())
    return path


class Echo:
    """A backend that hears one word a window: how many tenths of a second it lasts. Languages and failures as told."""

    def __init__(self, languages: tuple[str, ...] = ("en",), slots: int = 2) -> None:
        self.model = ModelInfo("echo", "cpu", "int8", languages, True, True, STEPS_S)
        self.slots = slots
        self.batches: list[list[DecodeJob]] = []
        self.begun = threading.Event()
        """a batch has come"""
        self.started = self.closed = 0
        self.refusal: Exception | None = None
        """raised when it is started"""
        self.fail_over_s = 1e9
        self.logprobs = {0.0: -0.1}
        self.detect: Callable[[float], tuple[str, float]] | None = None
        """language and its probability by the length of a window, where the job does not say"""

    @property
    def jobs(self) -> list[DecodeJob]:
        return [job for batch in self.batches for job in batch]

    async def start(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.started += 1

    async def decode(self, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        self.batches.append(list(batch))
        self.begun.set()
        await asyncio.sleep(0)
        return [review(job, self._heard(as_tried(job)), short=False) for job in batch]

    async def aclose(self) -> None:
        self.closed += 1

    def _heard(self, job: DecodeJob) -> DecodeResult:
        seconds = len(job.pcm) / 16_000
        if seconds > self.fail_over_s:
            return DecodeResult(job.id, error=ServerError("decode_failed", "this window broke", "send it again"))
        temperature = job.options.temperature
        language, sure = job.options.language or self.model.languages[-1], 0.0
        if self.detect is not None and job.options.language is None:
            language, sure = self.detect(seconds)
        text = f"w{seconds:.1f}" + ("" if temperature == 0 else f"t{temperature:g}")
        if seconds > 2.0:
            text = text.ljust(int(9 * seconds), "-")  # as long as such speech is, or its rest would be asked for
        return DecodeResult(
            job.id,
            text,
            (HypothesisWord(text, 0, len(job.pcm), 0.9),),
            language=language,
            language_probability=sure,
            mean_logprob=self.logprobs.get(temperature, -0.1),
        )
