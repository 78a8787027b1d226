"""Sessions over all legal settings and everything a client may do, beside engines that are idle, busy, late or broken.

Each run is a random program: audio in any format and pieces, commands at any time, and an engine that answers when and
in the order it likes, with words or errors. Whatever happens, what is promised holds (`Watched`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from cohear_client.protocol import ENCODINGS, MAX_ENDPOINT_MS, MIN_ENDPOINT_MS
from cohear_server.core.audio import SLICE_S, AudioFormat
from cohear_server.core.commands import Audio, Command, Configure, Finalize, Resume, Stop, Tick
from cohear_server.core.effects import Cancel, Effect, Emit, Submit
from cohear_server.core.events import Done, Event, Final, Finalized, Lost, Partial
from cohear_server.core.jobs import (
    MAX_WINDOW_SAMPLES,
    SAMPLE_RATE_HZ,
    DecodeJob,
    DecodeOptions,
    DecodeResult,
    HypothesisWord,
    JobKind,
)
from cohear_server.core.options import SessionOptions
from cohear_server.core.segment import PartialOptions
from cohear_server.core.segmenter import SegmenterOptions
from cohear_server.core.session import Session
from cohear_server.core.state import from_json
from cohear_server.core.vad import FRAME_SAMPLES
from cohear_server.errors import ClientError, ServerError
from hypothesis import given
from hypothesis import strategies as st

MOST_AUDIO_S = 60.0


@dataclass
class Watched:
    """A session and its engine; what must hold is asserted at each effect."""

    session: Session
    chance: random.Random
    errors: float
    """share of results that are faults"""
    now_s: float = 0.0
    sent: int = 0
    """in the client's samples"""
    jobs: dict[str, DecodeJob] = field(default_factory=dict)
    """every job that was submitted"""
    waiting: list[str] = field(default_factory=list)
    decoding: list[str] = field(default_factory=list)
    open: set[str] = field(default_factory=set)
    """jobs that are neither answered nor cancelled nor replaced"""
    untold: set[str] = field(default_factory=set)
    """finals that were answered, and neither told nor taken back: whoever times jobs keeps them in mind"""
    settled: list[Final | Lost] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    marks: dict[str, int | None] = field(default_factory=dict)
    """told and not answered, and how many segments must have their text before"""

    def say(self, command: Command) -> None:
        self._carry_out(self.session.handle(command, self.now_s))

    def decode(self, at_once: int) -> None:
        """Some waiting jobs go into the engine, and some that are there come out, in any order."""
        for _ in range(min(at_once, len(self.waiting))):
            job_id = self.waiting.pop(self.chance.randrange(len(self.waiting)))
            self.decoding.append(job_id)
            self.session.begun(job_id)
        for _ in range(self.chance.randint(0, at_once)):
            if self.decoding:
                job_id = self.decoding.pop(self.chance.randrange(len(self.decoding)))
                if job_id in self.open and self.jobs[job_id].kind is JobKind.FINAL:
                    self.untold.add(job_id)
                self.open.discard(job_id)
                self._carry_out(self.session.resolve(self._answer(self.jobs[job_id]), self.now_s))

    def move(self) -> None:
        """Go on as another session, if that can be."""
        state = self.session.state()
        if state is not None:
            assert not self.open - set(self.decoding)
            self.session = Session.restore(self.session.id, from_json(state.to_json()))

    def _answer(self, job: DecodeJob) -> DecodeResult:
        if self.chance.random() < self.errors:
            return DecodeResult(job.id, error=ServerError("decode_failed", "no luck"))
        step = self.chance.choice((4_000, 8_000, 40_000))
        words = tuple(
            HypothesisWord(f"w{self.chance.randint(0, 3)}", at, min(at + step, len(job.pcm)), self.chance.random())
            for at in range(0, len(job.pcm) - step // 2, step)
        )
        return DecodeResult(job.id, " ".join(w.text for w in words), words, timed=True, language="en")

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Submit(job):
                    self._submit(job)
                case Cancel(job_id):
                    assert job_id in self.jobs, "cancelled before it was submitted"
                    if job_id in self.waiting:
                        self.waiting.remove(job_id)
                    self.open.discard(job_id)
                    self.untold.discard(job_id)
                case Emit(event, job_id):
                    assert not job_id or job_id in self.jobs
                    if isinstance(event, Final | Lost):
                        self.untold.discard(job_id)
                    self._hear(event)

    def _submit(self, job: DecodeJob) -> None:
        assert job.id not in self.jobs
        assert 0 < len(job.pcm) <= MAX_WINDOW_SAMPLES
        if job.kind is JobKind.PARTIAL:
            older = [known for known in self.waiting if self.jobs[known].kind is JobKind.PARTIAL]
            self.waiting = [known for known in self.waiting if known not in older]
            self.open -= set(older)
        self.jobs[job.id] = job
        self.waiting.append(job.id)
        self.open.add(job.id)

    def _hear(self, event: Event) -> None:
        assert not any(isinstance(known, Done) for known in self.events), "nothing comes after done"
        self.events.append(event)
        match event:
            case Final() | Lost():
                before = self.settled[-1] if self.settled else None
                assert event.segment_id == len(self.settled), "in order, each once"
                assert event.start < event.end, "no segment is empty"
                assert before is None or before.end <= event.start
                longest_s = self.session.options.segmenter.max_segment_s
                assert event.end - event.start <= longest_s * SAMPLE_RATE_HZ + FRAME_SAMPLES
                self.settled.append(event)
            case Finalized(mark):
                assert mark == next(iter(self.marks)), "marks are answered in order, each once"
                before_it = self.marks.pop(mark)
                said = self.session._speech.segments if before_it is None else before_it
                assert len(self.settled) == said, "when all that was said before is final"
            case Done():
                self._close(event)

    def _close(self, done: Done) -> None:
        assert not self.open | self.untold, "no job is left behind"
        assert done.segments == len(self.settled)
        count, rate_hz = done.samples, self.session.format.sample_rate_hz
        assert count.received == self.sent
        assert count.transcribed + count.silent + count.shed == count.received
        assert min(count.transcribed, count.silent, count.shed) >= 0
        for kind, counted in ((Final, count.transcribed), (Lost, count.shed)):
            heard = [item for item in self.settled if isinstance(item, kind)]
            seconds = sum(item.end - item.start for item in heard) / SAMPLE_RATE_HZ
            assert counted / rate_hz == pytest.approx(seconds, abs=(1 + len(heard)) / 4_000)
        numbers = [event.seq for event in self.events if isinstance(event, Partial | Final)]
        assert numbers == list(range(1, len(numbers) + 1))

    def check_bounds(self) -> None:
        options = self.session.options
        buffer = self.session._intake.buffer
        held_s = (buffer.end - buffer.start) / SAMPLE_RATE_HZ
        longest_s = options.segmenter.max_segment_s + options.context.reach_s + SLICE_S + 2.0
        # memory moves only when half of it is free to give
        assert held_s <= 2 * longest_s


def encoded(pcm: np.ndarray, fmt: AudioFormat) -> bytes:
    """Any bytes will do for G.711; real samples for the rest, in all channels."""
    if fmt.encoding in ("mulaw", "alaw"):
        return np.repeat((pcm >> 8).astype(np.uint8), fmt.channels).tobytes()
    kind = "<i2" if fmt.encoding == "pcm_s16le" else "<f4"
    scaled = pcm if fmt.encoding == "pcm_s16le" else pcm / 32768
    return np.repeat(scaled.astype(kind), fmt.channels).tobytes()


FORMATS = st.builds(
    AudioFormat,
    st.sampled_from([8_000, 16_000, 16_000, 44_100, 48_000]) | st.integers(8_000, 48_000),
    st.sampled_from(ENCODINGS),
    st.integers(1, 8) | st.just(1),
)
ENDPOINTS_MS = st.integers(MIN_ENDPOINT_MS, MAX_ENDPOINT_MS) | st.sampled_from([100, 200, 300, 500])
OPTIONS = st.builds(
    SessionOptions,
    st.builds(SegmenterOptions, endpoint_ms=ENDPOINTS_MS, max_segment_s=st.floats(5, 28) | st.just(5.0)),
    st.builds(PartialOptions, interval_ms=st.integers(100, 10_000), with_context=st.booleans()),
    vad=st.just("energy"),
    show_partials=st.booleans(),
    prefer=st.sampled_from(["auto", "auto", "accuracy", "speed"]),
)
CHANGES = st.builds(
    Configure,
    language=st.none() | st.just("de"),
    partials=st.none() | st.booleans(),
    words=st.none() | st.booleans(),
    endpoint_ms=st.none() | ENDPOINTS_MS,
    prefer=st.none() | st.sampled_from(["auto", "accuracy", "speed"]),
)
SPOKEN_S = st.sampled_from([0.3, 1.0, 2.5, 7.0, 12.0]) | st.floats(0.02, 12.0)
QUIET_S = st.sampled_from([0.1, 0.3, 0.6, 1.0]) | st.floats(0.02, 6.0)
STEPS = st.lists(
    st.tuples(st.just("speech"), SPOKEN_S)
    | st.tuples(st.just("speech"), SPOKEN_S)
    | st.tuples(st.just("quiet"), QUIET_S)
    | st.tuples(st.sampled_from(["finalize", "resume", "tick", "move", "hang", "work"]), st.just(0.0))
    | st.tuples(st.just("economize"), st.floats(0, 1))
    | st.tuples(st.just("pace"), st.sampled_from([1.0, 0.5, 0.0]))
    | st.tuples(st.just("configure"), CHANGES),
    min_size=4,
    max_size=25,
)


def speak(run: Watched, seconds: float, loud: bool, frame: int, at_once: int) -> None:
    """Audio in frames of so many samples, each in its slices, as the edge gives them."""
    fmt = run.session.format
    count = int(seconds * fmt.sample_rate_hz)
    # one sample a frame is legal, but a second of it is enough
    count = min(count, int(MOST_AUDIO_S * fmt.sample_rate_hz) - run.sent, 1_000 * frame)
    noise = np.random.default_rng(run.chance.randrange(9)).normal(0, 4_000 if loud else 1, max(0, count))
    pcm = noise.clip(-32768, 32767).astype(np.int16)
    for at in range(0, len(pcm), frame):
        piece = pcm[at : at + frame]
        run.now_s += len(piece) / fmt.sample_rate_hz
        run.sent += len(piece)
        for part in fmt.slices(encoded(piece, fmt)):
            run.say(Audio(part))
            run.decode(at_once)
            run.check_bounds()


def take(run: Watched, what: str, value: float | Configure) -> None:
    match what:
        case "finalize":
            mark = f"m{run.chance.random()}"
            run.marks[mark] = None
            run.say(Finalize(mark))
            if mark in run.marks:
                run.marks[mark] = run.session._speech.segments
        case "resume":
            run.say(Resume())
        case "tick":
            run.now_s += run.chance.choice((0.25, 4.0))
            run.say(Tick())
        case "move":
            run.move()
        case "economize":
            run.session.economize(float(value))  # type: ignore[arg-type]
        case "pace":
            run.session.pace(float(value))  # type: ignore[arg-type]
        case "configure":
            run.say(value)  # type: ignore[arg-type]


@given(
    fmt=FORMATS,
    options=OPTIONS,
    steps=STEPS,
    frame_s=st.sampled_from([0.02, 0.1, 0.333, 1.0]) | st.floats(0.01, 6.0) | st.just(0.0),
    engine=st.tuples(st.integers(0, 1 << 16), st.sampled_from([0.0, 0.0, 0.3, 1.0]), st.integers(0, 3)),
)
def test_whatever_is_said_every_promise_holds(
    fmt: AudioFormat,
    options: SessionOptions,
    steps: list[tuple[str, float | Configure]],
    frame_s: float,
    engine: tuple[int, float, int],
) -> None:
    seed, errors, at_once = engine
    run = Watched(Session("s", fmt, DecodeOptions("m", word_times=True), options), random.Random(seed), errors)
    frame = max(1, int(frame_s * fmt.sample_rate_hz))
    for what, value in steps:
        if what in ("hang", "work"):
            at_once = {"hang": 0, "work": run.chance.randint(1, 4)}[what]
        elif what in ("speech", "quiet"):
            speak(run, float(value), what == "speech", frame, at_once)  # type: ignore[arg-type]
        else:
            take(run, what, value)
    run.say(Stop())
    with pytest.raises(ClientError, match="came after stop"):
        run.session.handle(Audio(bytes(fmt.frame_bytes)), run.now_s)
    run.say(Stop())
    for _ in range(10_000):
        if not (run.waiting or run.decoding):
            break
        run.decode(3)
    assert run.session.done
    assert isinstance(run.events[-1], Done)
    assert run.marks == {}
