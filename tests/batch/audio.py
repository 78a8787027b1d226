"""Audio and decoders for the tests of files."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import soundfile
from cohear_server.core.jobs import DecodeJob, DecodeResult, HypothesisWord, Pcm
from cohear_server.decoding.backend import ModelInfo
from cohear_server.errors import ServerError


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
    """Hears one word a window: how many tenths of a second it lasts. Languages and failures as told."""

    def __init__(self, languages: tuple[str, ...] = ("en",), steps_s: tuple[float, ...] = (2.0, 4.0)) -> None:
        self.info = ModelInfo("echo", "cpu", "int8", languages, True, True, steps_s)
        self.batches: list[list[DecodeJob]] = []
        self.temperatures: list[float] = []
        self.asked_language = 0
        self.fail_over_s = 1e9
        self.mates: int | None = None
        self.logprobs = {0.0: -0.1}
        self._lock = threading.Lock()

    def decode(self, batch: Sequence[DecodeJob], temperature: float) -> list[DecodeResult]:
        with self._lock:
            self.batches.append(list(batch))
            self.temperatures.append(temperature)
        return [self._heard(job, temperature) for job in batch]

    def together(self, job: DecodeJob) -> int | None:
        return self.mates

    def language_of(self, job: DecodeJob) -> str:
        self.asked_language += 1
        return self.info.languages[-1]

    def _heard(self, job: DecodeJob, temperature: float) -> DecodeResult:
        seconds = len(job.pcm) / 16_000
        if seconds > self.fail_over_s:
            return DecodeResult(job.id, error=ServerError("decode_failed", "this window broke", "send it again"))
        text = f"w{seconds:.1f}" + ("" if temperature == 0 else f"t{temperature:g}")
        words = (HypothesisWord(text, 0, len(job.pcm), 0.9),)
        return DecodeResult(
            job.id,
            text,
            words,
            language=job.options.language or "",
            mean_logprob=self.logprobs.get(temperature, -0.1),
        )
