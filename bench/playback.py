"""One clip through one session on simulated time, with a real engine whose results are kept.

Frames of 20 ms arrive exactly on time. A window is decoded as soon as it is cut, and its result comes back after the
time that the decode took on one core. So the figures do not depend on what else the machine does.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from cohear_client.protocol import Final, Partial
from cohear_server.core.commands import Audio, Stop
from cohear_server.core.effects import Cancel, Effect, Emit, Submit
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, JobKind, Pcm
from cohear_server.core.session import Session
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.second_try import settled
from cohear_server.models.catalog import SourceOptions, find_model
from cohear_server.wire.native import to_message

FRAME = SAMPLE_RATE_HZ // 50
Event = tuple[float, Partial | Final]
"""when it left the session, in seconds of the stream, and what it was"""


class Decoder:
    """The engine with its results kept, because different policies mostly decode the same windows."""

    def __init__(self, model: str, profiles: Path | None) -> None:
        found = find_model(model, options=SourceOptions(None, True))
        self.name = found.name
        self._engine = WhisperEngine(
            EngineOptions(found.name, found.directory, "cpu", "int8", workers=1, threads=1, profile_dir=profiles)
        )
        self._known: dict[tuple[bytes, DecodeOptions], tuple[DecodeResult, float]] = {}

    def decode(self, job: DecodeJob) -> tuple[DecodeResult, float]:
        """The result and its cost in CPU seconds."""
        key = (job.pcm.tobytes(), job.options)
        if key not in self._known:
            begun_s = time.process_time()
            (result,) = settled(self._engine.decode, [job])
            self._known[key] = (result, time.process_time() - begun_s)
        result, cost_s = self._known[key]
        return replace(result, job_id=job.id), cost_s


@dataclass(slots=True)
class Playback:
    """One clip through one session on simulated time."""

    session: Session
    decoder: Decoder
    events: list[Event] = field(default_factory=list)
    cost_s: dict[JobKind, float] = field(default_factory=lambda: dict.fromkeys(JobKind, 0.0))
    windows: Counter[JobKind] = field(default_factory=Counter)
    _due: list[tuple[float, DecodeResult]] = field(default_factory=list)
    _gone: set[str] = field(default_factory=set)

    def play(self, pcm: Pcm) -> list[Event]:
        for start in range(0, len(pcm), FRAME):
            frame = pcm[start : start + FRAME]
            now_s = (start + len(frame)) / SAMPLE_RATE_HZ
            self._deliver(now_s)
            self._take(self.session.handle(Audio(frame.tobytes()), now_s), now_s)
        end_s = len(pcm) / SAMPLE_RATE_HZ
        self._take(self.session.handle(Stop(), end_s), end_s)
        self._deliver(float("inf"))
        return self.events

    def _deliver(self, until_s: float) -> None:
        while self._due and self._due[0][0] <= until_s:
            at_s, result = self._due.pop(0)
            if result.job_id not in self._gone:
                self._take(self.session.resolve(result, at_s), at_s)

    def _take(self, effects: list[Effect], now_s: float) -> None:
        for effect in effects:
            match effect:
                case Submit(job):
                    result, cost_s = self.decoder.decode(job)
                    self.cost_s[job.kind] += cost_s
                    self.windows[job.kind] += 1
                    self._due.append((now_s + cost_s, result))
                    self.session.begun(job.id)
                case Cancel(job_id):
                    self._gone.add(job_id)
                case Emit(event):
                    message = to_message(event)
                    if isinstance(message, Partial | Final):
                        self.events.append((now_s, message))
        self._due.sort(key=lambda item: item[0])
