"""A backend without a model: scripted words, modelled service times, and faults on demand.

It sleeps as long as `ServiceTime` says: in simulated time under `simclock.SimClock`, and in real time on a real event
loop, where it replaces an engine in load tests. The contract suite checks that it behaves as `LocalBackend` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from cohear_server.core.jobs import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, DecodeJob, DecodeResult, HypothesisWord, Pcm
from cohear_server.engine.backend import ModelInfo
from cohear_server.errors import BackendUnavailable, ClientError, ServerError

Script = Callable[[Pcm], Sequence[str]]
"""the words heard in a window"""

FAULT_MARKER = np.array([-32768, 32767, -32768, 32767], np.int16)
"""a window that begins with these samples cannot be decoded"""

LOOKS_S = 0.05
"""how often a call that hangs looks whether it still does"""


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """How long a batch takes: (fixed + per_job * jobs + per_window_s * seconds of audio) * factor."""

    fixed_ms: float = 0.0
    per_job_ms: float = 0.0
    per_window_s_ms: float = 0.0
    factor: float = 1.0

    def of(self, batch: Sequence[DecodeJob]) -> float:
        """In ms."""
        audio_s = sum(len(job.pcm) for job in batch) / SAMPLE_RATE_HZ
        return self.factor * (self.fixed_ms + self.per_job_ms * len(batch) + self.per_window_s_ms * audio_s)


def two_words_a_second(pcm: Pcm) -> list[str]:
    """w0 w1 ...; none for digital silence."""
    return [f"w{i}" for i in range(2 * len(pcm) // SAMPLE_RATE_HZ)] if pcm.any() else []


FAKE_MODEL = ModelInfo(
    name="fake", device="none", compute_type="none", languages=("en",), translates=False, short_windows=True
)


@dataclass(slots=True)
class FakeOptions:
    """Tests change these while the backend runs, to begin and end faults."""

    slots: int = 1
    script: Script = two_words_a_second
    service: ServiceTime = field(default_factory=ServiceTime)
    unavailable: bool = False
    """every call raises BackendUnavailable"""
    raises: BaseException | None = None
    """every call raises this, which no backend should"""
    hangs: bool = False
    """calls do not return before this is False again"""
    answer: Callable[[list[DecodeResult]], object] = lambda results: results
    """changes what a call returns, for example to too few results"""
    model: ModelInfo = FAKE_MODEL
    """the model that it claims to be"""


class FakeBackend:
    def __init__(self, options: FakeOptions | None = None) -> None:
        self.options = options or FakeOptions()
        self.batches: list[list[DecodeJob]] = []
        """every batch that was posted, oldest first"""
        self._free = asyncio.Semaphore(self.options.slots)
        self._running = False

    @property
    def slots(self) -> int:
        return self.options.slots

    @property
    def model(self) -> ModelInfo:
        return self.options.model

    async def start(self) -> None:
        if self.options.unavailable:
            raise BackendUnavailable("the fake engine is told to be unavailable")
        self._running = True

    async def decode(self, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        if not self._running:
            raise BackendUnavailable("the fake engine is not running")
        self.batches.append(list(batch))
        posted_s = asyncio.get_running_loop().time()
        async with self._free:
            begun_s = asyncio.get_running_loop().time()
            service_ms = self.options.service.of(batch)
            if service_ms:
                await asyncio.sleep(service_ms / 1000)
            while self.options.hangs:  # noqa: ASYNC110 (a plain flag, which tests set from anywhere)
                await asyncio.sleep(LOOKS_S)
            if self.options.unavailable:
                raise BackendUnavailable("the fake engine is told to be unavailable")
            if self.options.raises is not None:
                raise self.options.raises
        wait_ms = 1000 * (begun_s - posted_s)
        results = [self._result(job, wait_ms, service_ms, len(batch)) for job in batch]
        return self.options.answer(results)  # type: ignore[return-value]

    async def aclose(self) -> None:
        self._running = False
        for _ in range(self.slots):  # each permit back means one batch fewer in the engine
            await self._free.acquire()
        for _ in range(self.slots):
            self._free.release()

    def _result(self, job: DecodeJob, wait_ms: float, decode_ms: float, batch_size: int) -> DecodeResult:
        error = _fault(job, self.model)
        noise = not job.session_id  # of the warm-up, or a probe
        words = () if error or noise else _spread(self.options.script(job.pcm), len(job.pcm))
        return DecodeResult(
            job_id=job.id,
            text=" ".join(word.text for word in words),
            words=words,
            timed=job.options.word_times and bool(words),
            language="" if error else job.options.language or self.model.languages[0],
            confidence=1.0 if words else 0.0,
            wait_ms=wait_ms,
            decode_ms=decode_ms,
            batch_size=batch_size,
            error=error,
        )


def _fault(job: DecodeJob, model: ModelInfo) -> ClientError | ServerError | None:
    if not 0 < len(job.pcm) <= MAX_WINDOW_SAMPLES:
        return ClientError("bad_audio", f"a window of {len(job.pcm)} samples cannot be decoded")
    if job.options.language not in (None, *model.languages):
        return ClientError("unsupported_language", f"the fake engine does not know {job.options.language!r:.40}")
    if job.options.task == "translate":
        return ClientError("unsupported_task", "the fake engine only transcribes")
    if np.array_equal(job.pcm[: len(FAULT_MARKER)], FAULT_MARKER):
        return ServerError("decode_failed", "this window carries the fault marker")
    return None


def _spread(texts: Sequence[str], samples: int) -> tuple[HypothesisWord, ...]:
    edges = [samples * i // max(1, len(texts)) for i in range(len(texts) + 1)]
    return tuple(HypothesisWord(text, edges[i], edges[i + 1], 1.0) for i, text in enumerate(texts))
