"""Machines that are only told of, and streams on them in simulated time: the real sessions, scheduler and capacity.

A machine is what a batch of 6 s windows takes on it, by the number of windows; it is data (`MACHINES`). Speech and
pauses are those of the load's speakers; words are made up, a fifth of them wrong near the edge of a window.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from capacity import BOUNDS_MS, MAY_BE_MISSING
from cohear_client.protocol import Final, Partial
from cohear_server.core.audio import AudioFormat
from cohear_server.core.commands import Audio
from cohear_server.core.effects import Cancel, Effect, Emit, Submit
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, HypothesisWord, JobKind
from cohear_server.core.options import SessionOptions
from cohear_server.core.segment import PartialOptions
from cohear_server.core.segmenter import SegmenterOptions
from cohear_server.core.session import Session
from cohear_server.live.timing import Stages
from cohear_server.models.silero import load_silero
from cohear_server.scheduling.capacity import Capacity, CapacityOptions
from cohear_server.scheduling.costs import CostBook, Costs, Curve, Measured
from cohear_server.scheduling.dispatcher import DecodedBatch
from cohear_server.scheduling.ladder import PARTIAL_SHARE
from cohear_server.scheduling.scheduler import Scheduler, SchedulerOptions
from cohear_server.scheduling.tuning import Tuner, Tuning
from cohear_server.wire.native import to_message
from measures import Heard, Shown, cursor_lags_ms, final_waits, percentile
from voice import Spoken, Voice

SECONDS, SETTLE_S, FRAME_S = 30.0, 6.0, 0.1
GOVERN_S = 0.25
ENDPOINT_MS = 500
MODEL = "simulated"
TOKENS_A_SECOND, CALL_STEPS = 3.4, 8
WINDOW_S = 6.0
"""of the windows by which a machine is told of"""
ENCODE_SHARE = 0.33
"""of the time of one such window"""
FILE_WINDOW_S = (8.0, 16.0)
EDGE_S, DOUBTFUL_S, WORDS_A_SECOND = 0.2, 0.5, 2.6


@dataclass(frozen=True, slots=True)
class Machine:
    """What a batch takes on it."""

    batch_s: Mapping[float, float]
    """of windows of 6 s, by their number"""
    slots: int
    contention: float = 1.2
    """so many times as much while the rest of a server runs beside it"""
    encodes_together: bool = False
    """windows in one batch are encoded for little more than one (a GPU); else each takes as long as alone"""

    def seconds(self, batch: Sequence[DecodeJob]) -> float:
        return self.contention * sum(self.parts(len(batch), [len(job.pcm) / SAMPLE_RATE_HZ for job in batch]))

    def parts(self, windows: int, lengths_s: Sequence[float]) -> tuple[float, float]:
        """Seconds of encoder and of decoder."""
        alone_s = ENCODE_SHARE * self.batch_s[1]
        whole_s = Curve(self.batch_s).at(windows)
        encode_s = alone_s * whole_s / self.batch_s[1] if self.encodes_together else alone_s * windows
        mean_s, longest_s = sum(lengths_s) / len(lengths_s), max(lengths_s)
        steps = CALL_STEPS + 2 + TOKENS_A_SECOND * longest_s
        decode_s = (whole_s - encode_s) / (CALL_STEPS + 2 + TOKENS_A_SECOND * WINDOW_S) * steps
        return encode_s * (mean_s + 1) / (WINDOW_S + 1), decode_s

    def measured(self) -> Costs:
        """What a warm-up on it finds."""
        sizes = [size for size in (1, 2, 4, 8, 16, 32, 64) if size <= max(self.batch_s)]
        return Costs.of([self._measured(size, 2.0) for size in sizes] + [self._measured(1, 6.0)])

    def _measured(self, windows: int, window_s: float) -> Measured:
        encode_s, decode_s = self.parts(windows, [window_s])
        return Measured(windows, window_s, encode_s + decode_s, encode_s, round(2 + TOKENS_A_SECOND * window_s))


def by_speed(*audio_s_a_core_s: float) -> dict[float, float]:
    """Seconds of a batch of 1, 2, 4, ... windows of 6 s, from audio seconds a core second in such batches."""
    return {2**i: WINDOW_S * 2**i / speed for i, speed in enumerate(audio_s_a_core_s)}


MACHINES = {
    "gains from batches": Machine(by_speed(92, 117, 152, 180, 189), slots=2),
    "gains little": Machine(by_speed(89, 97, 115, 118, 110), slots=2),
    "gpu": Machine(by_speed(40, 78, 154, 296, 560, 1000, 1390), slots=1, contention=1.0, encodes_together=True),
}
"""Two of 2 cores, measured with tiny.en; and what a GPU with a large model is like: nearly flat to 64 windows."""


def hear(job: DecodeJob, start: int, chance: random.Random) -> DecodeResult:
    """Words lie on a grid in the stream, so successive windows hear the same ones."""
    words: list[HypothesisWord] = []
    for number in itertools.count(-(-int(start * WORDS_A_SECOND) // SAMPLE_RATE_HZ)):
        begin = int(number / WORDS_A_SECOND * SAMPLE_RATE_HZ) - start
        end = begin + int(0.8 / WORDS_A_SECOND * SAMPLE_RATE_HZ)
        if end > len(job.pcm) + SAMPLE_RATE_HZ // 10:
            break
        left_s = (len(job.pcm) - end) / SAMPLE_RATE_HZ
        doubt = 0.35 if left_s < EDGE_S else 0.1 if left_s < DOUBTFUL_S else 0.02
        wrong = chance.random() < doubt
        text = f"w{number}{chance.choice('abcdefgh') if wrong else ''}"
        rating = 0.5 if wrong else 0.97 if chance.random() < 0.5 else 0.85
        words.append(HypothesisWord(text, max(0, begin), min(end, len(job.pcm)), rating))
    text = " ".join(word.text for word in words)
    return DecodeResult(job.id, text, tuple(words), job.options.word_times, "en")


class Speakers:
    """What each says: the same in every run."""

    def __init__(self, clips: Sequence[Spoken], seed: int = 0) -> None:
        self._clips = clips
        self._seed = seed
        self.of = functools.cache(self._of)

    def _of(self, number: int) -> tuple[list[bytes], list[tuple[float, float]]]:
        """Frames of one speaker, and when there is sound in them."""
        voice = Voice(self._clips, None, 1000 * self._seed + number)
        frames = [voice.read(round(FRAME_S * SAMPLE_RATE_HZ)) for _ in range(round(SECONDS / FRAME_S))]
        return frames, [span for span in voice.spurts if span[1] < SECONDS]


class Files:
    """Whole files that are decoded beside the streams."""

    def __init__(self, seed: int) -> None:
        self.waiting = 0
        """windows of them that always wait; set before the run"""
        self.audio_s = 0.0
        """of those that were decoded"""
        self._chance = random.Random(seed)
        self._numbers = itertools.count()

    def window(self) -> DecodeJob:
        pcm = np.zeros(round(self._chance.uniform(*FILE_WINDOW_S) * SAMPLE_RATE_HZ), np.int16)
        options = DecodeOptions(MODEL, "en")
        return DecodeJob(f"file-{next(self._numbers)}", "file", "files", 0, pcm, JobKind.BULK, math.inf, options)


class Run:
    """One simulation; `run` once, then ask for its `waits`."""

    def __init__(
        self, machine: Machine, speakers: Speakers, streams: int, by_hand: Tuning | None = None, seed: int = 0
    ) -> None:
        self._machine = machine
        self._speakers = [speakers.of(i) for i in range(streams)]
        self.costs = CostBook()
        self.costs.enter(MODEL, machine.measured(), main=True)
        tuner = Tuner(self.costs, by_hand=by_hand)
        self.scheduler = Scheduler(SchedulerOptions(), self.costs, tuner, slots=machine.slots)
        self.capacity = Capacity(CapacityOptions(machine.slots, PartialOptions().interval_ms / 1000), self.costs, tuner)
        self._chance = random.Random(f"{streams} {seed}")
        self._begun_s = [self._chance.uniform(0, 2) for _ in range(streams)]
        options = SessionOptions(SegmenterOptions(endpoint_ms=ENDPOINT_MS), vad="energy")
        decode = DecodeOptions(MODEL, "en", word_times=False)
        self._sessions = [Session(str(i), AudioFormat(), decode, options, load_silero()) for i in range(streams)]
        self._wanted_s: dict[str, float] = {}
        self._starts: dict[str, int] = {}
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._busy = 0
        self._shown: defaultdict[int, list[Shown]] = defaultdict(list)
        self.batches: list[int] = []
        self.files = Files(seed)

    def run(self) -> None:
        for i, begun_s in enumerate(self._begun_s):
            self.capacity.opened(str(i), begun_s)
            self._at(begun_s + FRAME_S, functools.partial(self._receive, i, 0))
        self._at(GOVERN_S, self._govern)
        for _ in range(self.files.waiting):
            self.scheduler.submit(self.files.window(), 0.0)
        while self._events and self._events[0][0] < SECONDS:
            now_s, _, happens = heapq.heappop(self._events)
            happens(now_s)
            self._dispatch(now_s)

    def _at(self, at_s: float, happens: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at_s, next(self._order), happens))

    def _receive(self, i: int, frame: int, now_s: float) -> None:
        frames, _ = self._speakers[i]
        self._carry_out(i, self._sessions[i].handle(Audio(frames[frame]), now_s), now_s)
        self.capacity.heard(str(i), FRAME_S, now_s)
        if frame + 1 < len(frames):
            self._at(now_s + FRAME_S, functools.partial(self._receive, i, frame + 1))

    def _govern(self, now_s: float) -> None:
        before, rung = self.capacity.rung, self.capacity.step(now_s)
        economy = self.capacity.economy(now_s)
        for session in self._sessions:
            session.economize(economy)
            if rung is not before:
                session.pace(PARTIAL_SHARE[rung])
        self._at(now_s + GOVERN_S, self._govern)

    def _carry_out(self, i: int, effects: list[Effect], now_s: float) -> None:
        for effect in effects:
            match effect:
                case Submit(job):
                    # it ends where its stream is now, or for a final at most `post_roll` before: near enough for words
                    self._starts[job.id] = int((now_s - self._begun_s[i]) * SAMPLE_RATE_HZ) - len(job.pcm)
                    replaced = self.scheduler.submit(job, now_s)
                    self._wanted_s[job.id] = self._wanted_s.pop(replaced.id) if replaced else now_s
                case Cancel(job_id):
                    self.scheduler.cancel(job_id, str(i))
                case Emit(event, _, origin_s):
                    message = to_message(event, Stages(decode_ms=1000 * (now_s - origin_s)))
                    if isinstance(message, Partial | Final):
                        self._shown[i].append((now_s - self._begun_s[i], message))

    def _dispatch(self, now_s: float) -> None:
        while self._busy < self._machine.slots and (batch := self.scheduler.next_batch(now_s, self._busy)):
            self._busy += 1
            for job in batch:
                if job.kind is not JobKind.BULK:
                    self._sessions[int(job.session_id)].begun(job.id)
            if batch[0].kind is JobKind.PARTIAL:
                self.batches.append(len(batch))
            took_s = self._machine.seconds(batch)
            self._at(now_s + took_s, functools.partial(self._decoded, batch, took_s))

    def _decoded(self, batch: list[DecodeJob], took_s: float, now_s: float) -> None:
        self._busy -= 1
        self.scheduler.finished(batch)
        if batch[0].kind is JobKind.BULK:
            self.files.audio_s += sum(len(job.pcm) for job in batch) / SAMPLE_RATE_HZ
            for _ in batch:
                self.scheduler.submit(self.files.window(), now_s)
            return
        results = [hear(job, self._starts.pop(job.id), self._chance) for job in batch]
        waited_s = [now_s - took_s - self._wanted_s.pop(job.id) for job in batch]
        self.costs.observe(batch, results, took_s)
        self.capacity.decoded(DecodedBatch(batch, results, waited_s, took_s, now_s))
        for job, result in zip(batch, results, strict=True):
            i = int(job.session_id)
            self._carry_out(i, self._sessions[i].resolve(result, now_s), now_s)

    def waits(self) -> dict[str, list[float]]:
        """In ms, of what is promised, as capacity.py has it."""
        found: dict[str, list[float]] = {name: [] for name in BOUNDS_MS}
        for i, (_, spurts) in enumerate(self._speakers):
            heard = Heard(self._shown[i], spurts, SETTLE_S, SECONDS - SETTLE_S / 2)
            waits = final_waits(heard, ENDPOINT_MS)
            found["cursor_lag"] += cursor_lags_ms(heard)
            found["final_over_endpoint"] += [wait.over_ms for wait in waits if wait.over_ms is not None]
            found["final_cut"] += [wait.cut_ms for wait in waits if wait.cut_ms is not None]
        return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of several runs with as many streams."""

    p95_ms: dict[str, int]
    batch: float
    """mean size of those of partials"""

    @property
    def kept(self) -> bool:
        """The promise was: at one figure's limit the answer is 1."""
        return self.strain <= 1

    @property
    def strain(self) -> float:
        """What came nearest to its limit, as a share of that."""
        needed = [name for name in BOUNDS_MS if name != MAY_BE_MISSING]
        if not all(name in self.p95_ms for name in needed):
            return math.inf
        return max(self.p95_ms[name] / BOUNDS_MS[name] for name in self.p95_ms)


def outcome(
    machine: Machine, speakers: Speakers, streams: int, by_hand: Tuning | None = None, seeds: int = 2
) -> Outcome:
    """What comes of so many streams; speakers begin at other moments in each run."""
    waits: dict[str, list[float]] = {name: [] for name in BOUNDS_MS}
    batches: list[int] = []
    for seed in range(seeds):
        run = Run(machine, speakers, streams, by_hand, seed)
        run.run()
        batches += run.batches
        for name, values in run.waits().items():
            waits[name] += values
    p95_ms = {name: round(percentile(values, 0.95)) for name, values in waits.items() if values}
    return Outcome(p95_ms, round(float(np.mean(batches or [0])), 1))
