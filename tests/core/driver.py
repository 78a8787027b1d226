"""A session driven without a clock, a network or an engine: audio and commands in, every effect kept and checked.

It answers jobs as the dispatcher does: a waiting partial is replaced by a newer one, what is cancelled while it waits
never comes back, and what the engine is at work on comes back all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from cohear_server.core.audio import AudioFormat
from cohear_server.core.commands import Audio, Command, Stop
from cohear_server.core.effects import Cancel, Effect, Emit, Submit
from cohear_server.core.events import Event
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, HypothesisWord
from cohear_server.core.options import SessionOptions
from cohear_server.core.session import Session

M = TypeVar("M")
RNG = np.random.default_rng(7)


def speech(seconds: float) -> np.ndarray:
    return RNG.normal(0, 4_000, int(seconds * SAMPLE_RATE_HZ)).clip(-32768, 32767).astype("<i2")


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * SAMPLE_RATE_HZ), "<i2")


def utterance() -> np.ndarray:
    return np.concatenate([silence(1), speech(2), silence(1)])


def says(job: DecodeJob) -> DecodeResult:
    """One word a half second, named by its place in the segment: hypotheses of growing windows agree."""
    step = SAMPLE_RATE_HZ // 2
    count = len(job.pcm) // step
    words = tuple(HypothesisWord(f"w{i}", i * step, (i + 1) * step, 0.5) for i in range(count))
    return DecodeResult(job.id, " ".join(w.text for w in words), words, language="en", confidence=0.5)


@dataclass
class Driver:
    """Feeds a session and answers its jobs as soon as they come, unless told to hold them."""

    format: AudioFormat = field(default_factory=AudioFormat)
    options: SessionOptions = field(default_factory=lambda: SessionOptions(vad="energy"))
    hold: bool = False
    answer: Callable[[DecodeJob], DecodeResult] = says
    language: str | None = "en"

    def __post_init__(self) -> None:
        self.now_s = 0.0
        self.messages: list[Event] = []
        self.jobs: list[DecodeJob] = []
        self.held: list[DecodeJob] = []
        self.cancelled: list[str] = []
        self.session = Session("s", self.format, DecodeOptions("m", self.language, word_times=True), self.options)

    def feed(self, pcm: np.ndarray, frame: int = 320) -> Driver:
        for i in range(0, len(pcm), frame):
            piece = pcm[i : i + frame]
            self.now_s += len(piece) / SAMPLE_RATE_HZ
            self.say(Audio(piece.tobytes()))
        return self

    def say(self, command: Command) -> Driver:
        return self.take(self.session.handle(command, self.now_s))

    def take(self, effects: list[Effect]) -> Driver:
        for effect in effects:
            match effect:
                case Submit(job):
                    self.jobs.append(job)
                    self.held.append(job)
                case Cancel(job_id):
                    self.cancelled.append(job_id)
                    self.held = [job for job in self.held if job.id != job_id]
                case Emit(event):
                    self.messages.append(event)
        while self.held and not self.hold:
            job = self.held.pop(0)
            self.take(self.session.resolve(self.answer(job), self.now_s))
        return self

    def release(self, *, backwards: bool = False) -> Driver:
        held, self.held = self.held[:: -1 if backwards else 1], []
        for job in held:
            self.take(self.session.resolve(self.answer(job), self.now_s))
        return self

    def stop(self) -> Driver:
        return self.say(Stop())

    def of(self, kind: type[M]) -> list[M]:
        return [m for m in self.messages if isinstance(m, kind)]
