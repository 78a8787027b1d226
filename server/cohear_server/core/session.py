"""One stream as a state machine: commands, results and `now` go in; effects come out, in order.

        handle(Audio) --> AudioDecoder -> Vad -> Segmenter --> OpenSegment --> partial job --+
                                                      |                                       | resolve(result)
                                                      +-- Pause --> speculative final job ----+
                                                      +-- SpeechEnd --> final, in order ------+--> events

It knows no socket, no JSON, no scheduler and no clock: times are handed in, in seconds of one
monotonic clock. Finals leave in the order of their segments, each once. Every sample is settled
once, as transcribed, silent or shed. All positions are samples at 16 kHz since the stream began.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from .audio import AudioDecoder, AudioFormat
from .buffer import AudioBuffer
from .clock import JitterClock
from .commands import Audio, Command, Configure, Finalize, Resume, Stop, Tick
from .context import Context, own_words
from .effects import Cancel, Effect, Emit, Submit
from .events import Done, Event, Finalized, Notice, Reason, SpeechEnded, SpeechStarted, Stats
from .jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, JobKind, Pcm
from .language import SessionLanguage
from .ledger import Ledger, SampleCount
from .options import SessionOptions
from .pending import Mark, PendingFinal, Trial
from .segment import OpenSegment, PartialOptions, Window
from .segmenter import (
    Pause,
    Resumption,
    Segmenter,
    SegmentEvent,
    SpeechEnd,
    SpeechStart,
    with_endpoint,
)
from .vad import FRAME_SAMPLES, make_vad, power

FINAL_DEADLINE_S = 0.1
"""A final is wanted this soon after its endpoint is known."""

CUT_DEADLINE_S = 0.8
"""That of a segment cut for its length may take longer: nobody waits for its end, and its words are on the screen."""

STATS_INTERVAL_S = 5.0
"""Statistics come this often by the clock, and by the audio: a client that sends fast learns what is settled."""


class Session:
    def __init__(self, session_id: str, fmt: AudioFormat, decode: DecodeOptions, options: SessionOptions) -> None:
        self.id = session_id
        self.format = fmt
        self.options = options
        self._decode = decode
        self._partials = options.show_partials
        self._cadence: PartialOptions | None = options.partials
        """of partials now; None: overload leaves no room for any"""
        self._decoder = AudioDecoder(fmt)
        self._clock = JitterClock(fmt.sample_rate_hz)
        self._vad = make_vad(options.vad)
        self._segmenter = Segmenter(options.segmenter)
        self._buffer = AudioBuffer()
        self._context = Context(options.context)
        self._language = SessionLanguage()
        self._ledger = Ledger(self._decoder)
        self._segment: OpenSegment | None = None
        self._moved: tuple[OpenSegment, int] | None = None
        """begins where the last segment was cut, with what was heard behind that, and up to which sample"""
        self._speculation: tuple[str, Trial] | None = None
        self._trials: dict[str, Trial] = {}
        self._waiting = ""
        """the partial job that a newer one would replace"""
        self._pending: deque[PendingFinal | Mark] = deque()
        self._counter = self._segments = self._seq = self._audio_since_stats = 0
        self._now_s = self._heard_s = self._stats_s = 0.0
        self.stopping = self.done = self._clipping_told = False
        self._out: list[Effect] = []

    @property
    def backlog_s(self) -> float:
        """Seconds of finished segments that wait for their text."""
        waiting = (p.said for p in self._pending if isinstance(p, PendingFinal) and p.result is None)
        return sum(said.end - said.start for said in waiting) / SAMPLE_RATE_HZ

    @property
    def endpoint_ms(self) -> int:
        """Silence that ends a segment, as it holds now."""
        return self._segmenter.options.endpoint_ms

    def handle(self, command: Command, now_s: float) -> list[Effect]:
        """What the client said, or that time passed. Raises ClientError(`bad_audio`) for audio that cannot be used,
        which then counts for nothing."""
        match command:
            case Audio(data):
                self._receive(data, now_s)
            case Configure():
                self._configure(command)
            case Finalize(mark):
                self._finalize(mark, now_s)
            case Stop():
                self._stop(now_s)
            case Tick():
                self._tick(now_s)
            case Resume():
                self._resume(now_s)
        return self._take()

    def _receive(self, frame: bytes, now_s: float) -> None:
        before = self._decoder.received
        pcm = self._decoder.decode(frame)
        self._clock.on_frame(self._decoder.received - before, now_s)
        self._now_s = self._heard_s = now_s
        self._advance(pcm)
        self._audio_since_stats += self._decoder.received - before
        if self._audio_since_stats >= STATS_INTERVAL_S * self._decoder.format.sample_rate_hz:
            self._emit_stats()
        if self._decoder.clipped and not self._clipping_told:
            self._clipping_told = True
            self._emit(Notice("clipped", "float samples beyond -1..1 were limited; lower the level"))

    def _tick(self, now_s: float) -> None:
        self._now_s = now_s
        if self._segment is not None and now_s - self._heard_s >= self.options.stall_s:
            self._cut_off("endpoint")
        if now_s - self._stats_s >= STATS_INTERVAL_S:
            self._emit_stats()

    def begun(self, job_id: str) -> None:
        """The engine is at work on this job."""
        if job_id == self._waiting:
            self._waiting = ""
            trial = self._trials.get(job_id)
            if trial is not None and trial.segment is self._segment:
                trial.segment.begun(trial.window)

    def resolve(self, result: DecodeResult, now_s: float) -> list[Effect]:
        """What the engine heard in one of this session's jobs. Unknown and stale results are ignored."""
        self._now_s = now_s
        self.begun(result.job_id)
        trial = self._trials.pop(result.job_id, None)
        if trial is not None:
            trial.result = result
            self._hear(result, trial)
        for pending in self._pending:
            if isinstance(pending, PendingFinal) and pending.job_id == result.job_id:
                pending.result = result
        self._drain()
        return self._take()

    def _configure(self, change: Configure) -> None:
        now = self._decode
        self._decode = replace(
            now,
            language=now.language if change.language is None else change.language,
            task=now.task if change.task is None else change.task,
            prompt=now.prompt if change.prompt is None else change.prompt,
            word_times=now.word_times if change.words is None else change.words,
        )
        if change.partials is not None:
            self._partials = change.partials
        self._segmenter.options = with_endpoint(self._segmenter.options, change.endpoint_ms)

    def _finalize(self, mark: str, now_s: float) -> None:
        self._now_s = now_s
        self._cut_off("finalize")
        self._pending.append(Mark(mark))
        self._drain()

    def _stop(self, now_s: float) -> None:
        self._now_s = now_s
        if not self.stopping:
            self._advance(self._decoder.flush())
            self._cut_off("stop")
            self.stopping = True
            self._ledger.close("silent")
            self._drain()

    def _resume(self, now_s: float) -> None:
        self._now_s = self._heard_s = now_s
        self._clock.resume(now_s)

    def pace(self, share: float) -> None:
        """From here on partials are asked for at this share of the usual cadence; 0: not at all. For overload."""
        usual = self.options.partials
        self._cadence = replace(usual, interval_ms=round(usual.interval_ms / share)) if share else None
        if self._segment is not None and self._cadence is not None:
            self._segment.options = self._cadence

    def hurry(self, haste: float) -> None:
        """How much the engine has to do, 0 to 1: the more, the cheaper are segments, and a little less exact."""
        self._segmenter.haste = self._context.haste = haste

    def samples(self) -> SampleCount:
        return self._ledger.count()

    # --- audio in ---------------------------------------------------------------------------------

    def _advance(self, pcm: Pcm) -> None:
        self._buffer.append(pcm)
        first = self._segmenter.position
        count = (self._buffer.end - first) // FRAME_SAMPLES
        if count:
            frames = self._buffer.read(first, first + count * FRAME_SAMPLES).reshape(count, FRAME_SAMPLES)
            for event in self._segmenter.push(self._vad.push(frames), power(frames)):
                self._on_segment_event(event)
                # inside the loop: a large frame may hold several segments
                self._partial_if_due()
            self._partial_if_due()
        if self._segment is None:
            self._ledger.settle(max(self._ledger.settled, self._segmenter.silent_until), "silent")
            self._forget_before(self._ledger.settled)

    def _on_segment_event(self, event: SegmentEvent) -> None:
        match event:
            case SpeechStart(start, at, continues):
                if not continues:
                    self._emit(SpeechStarted(at))
                self._ledger.settle(max(self._ledger.settled, start), "silent")
                moved, self._moved = self._moved, None
                if continues and moved is not None:
                    self._segment, heard_until = moved
                    self._show(self._segment, heard_until)
                else:
                    self._segment = OpenSegment(self._segments, start, at, self._cadence or self.options.partials)
                self._segments += 1
            case Pause(end):
                self._speculate(end)
            case Resumption():
                self._drop_speculation()
            case SpeechEnd(end, reason):
                self._end_segment(end, reason)

    def _forget_before(self, sample: int) -> None:
        """Settled audio is needed only as context, and where the segmenter has not judged it yet (after a cut-off)."""
        position = self._segmenter.position
        self._buffer.drop_before(min(sample, position, self._context.needed_from(position)))

    def _cut_off(self, reason: Reason) -> None:
        end = self._segmenter.flush(self._buffer.end, reason)
        if end is not None:
            self._end_segment(end.end, reason)

    def _end_segment(self, end: int, reason: Reason) -> None:
        segment = self._segment
        assert segment is not None
        self._segment = None
        settled = self._ledger.settle(end, "transcribed")
        speculation = self._speculation
        if speculation is None or speculation[1].window.end != end:
            self._drop_speculation()
            deadline_s = CUT_DEADLINE_S if reason == "max_length" else FINAL_DEADLINE_S
            speculation = self._decode_final(segment, end, deadline_s)
        self._speculation = None
        job_id, trial = speculation
        # its result belongs to the pending final now, and must not be cancelled with the next segment's trials
        self._trials.pop(job_id, None)
        self._cancel_trials()
        follower = segment.cut(end) if reason == "max_length" else None
        if follower is not None:
            # what is behind the cut moves on: else it would stand there twice until the final comes
            self._moved = follower, segment.heard_until
            self._show(segment, end)
        said = self._context.add(segment.start, end)
        pending = PendingFinal(segment, said, reason, job_id, self._now_s, settled, trial.context, trial.result)
        self._pending.append(pending)
        self._forget_before(end)
        if reason != "max_length":
            self._emit(SpeechEnded(end))
        self._drain()

    # --- jobs out ---------------------------------------------------------------------------------

    def _partial_if_due(self) -> None:
        options = self._cadence
        if self._segment is None or options is None or not self._partials or self._speculation is not None:
            return
        window = self._segment.due_window(self._segmenter.position)
        if window is not None:
            segment = self._segment
            whole = options.with_context and window.start == segment.start
            context = self._context.before(segment.start, window.end) if whole else ()
            decoded = replace(window, start=context[0].start) if context else window
            job_id = self._submit(JobKind.PARTIAL, segment, decoded, options.interval_ms / 1000)
            self._trials.pop(self._waiting, None)
            self._waiting = job_id
            self._trials[job_id] = Trial(segment, window, self._now_s, context)

    def _speculate(self, end: int) -> None:
        """The pause may be the end: decode as if it were, so that the final is ready when it is."""
        assert self._segment is not None
        left_ms = self._segmenter.options.endpoint_ms - self._segmenter.options.early_silence_ms
        self._speculation = self._decode_final(self._segment, end, FINAL_DEADLINE_S + left_ms / 1000)
        job_id, trial = self._speculation
        self._trials[job_id] = trial

    def _decode_final(self, segment: OpenSegment, end: int, deadline_s: float) -> tuple[str, Trial]:
        """Have the segment decoded as it is at `end`, with the speech before it if it is short."""
        context = self._context.before(segment.start, end)
        start = context[0].start if context else segment.start
        job_id = self._submit(JobKind.FINAL, segment, Window(start, end), deadline_s)
        return job_id, Trial(segment, Window(segment.start, end), self._now_s, context)

    def _drop_speculation(self) -> None:
        if self._speculation is not None:
            self._out.append(Cancel(self._speculation[0]))
            self._speculation = None

    def _cancel_trials(self) -> None:
        self._out += map(Cancel, self._trials)
        self._trials.clear()

    def _submit(self, kind: JobKind, segment: OpenSegment, window: Window, deadline_s: float) -> str:
        job_id = f"{self.id}.{self._counter}"
        self._counter += 1
        timed = window.timed if kind is JobKind.PARTIAL else self._decode.word_times
        known = self._language.ask() if kind is JobKind.FINAL else self._language.language
        language = self._decode.language or known
        options = replace(self._decode, word_times=timed, language=language)
        pcm = self._buffer.read(window.start, window.end)
        job = DecodeJob(job_id, self.id, self.options.tenant, segment.id, pcm, kind, deadline_s, options)
        self._out.append(Submit(job))
        return job_id

    # --- results in, events out -------------------------------------------------------------------

    def _hear(self, result: DecodeResult, trial: Trial) -> None:
        segment = trial.segment
        unknown = any(said.words is None for said in trial.context)
        if segment is not self._segment or result.error is not None or unknown:
            return
        if not segment.hear(own_words(result, trial.context, segment.start), trial.window):
            return
        self._show(segment, trial.window.end, result.job_id, trial.origin_s)

    def _show(self, segment: OpenSegment, end: int, job_id: str = "", origin_s: float | None = None) -> None:
        """A partial of what is understood of a segment, by the decoding named, if there was one."""
        if not self._partials:
            return
        self._seq += 1
        partial = segment.partial(self._seq, end, words=self._decode.word_times)
        self._emit(partial, job_id, self._now_s if origin_s is None else origin_s)

    def _drain(self) -> None:
        while self._pending:
            head = self._pending[0]
            if isinstance(head, Mark):
                self._emit(Finalized(head.id))
            elif head.result is None or self._again_alone(head, head.result):
                return
            else:
                self._emit_final(head, head.result)
            self._pending.popleft()
        if self.stopping and not self.done:
            self.done = True
            self._emit(Done(self._ledger.count(), self._segments))

    def _again_alone(self, final: PendingFinal, result: DecodeResult) -> bool:
        """Whether nothing of the segment was heard behind its context, so that it is decoded again without: Whisper
        may stop where it thinks that a text is complete."""
        said, segment = final.said, final.segment
        silent = not final.context or result.error is not None
        if silent or said.start < self._buffer.start or own_words(result, final.context, said.start).words:
            return False
        window = Window(said.start, said.end)
        final.context, final.result = (), None
        self._out.append(Cancel(final.job_id))
        final.job_id = self._submit(JobKind.FINAL, segment, window, FINAL_DEADLINE_S)
        return True

    def _emit_final(self, final: PendingFinal, result: DecodeResult) -> None:
        said = final.said
        if result.error is not None:
            said.words = ()
            self._ledger.move_to_shed(final.settled)
            self._emit(final.lost(result.error), result.job_id)
            return
        own = own_words(result, final.context, said.start)
        said.words = own.words
        self._language.observe(own, (said.end - said.start) / SAMPLE_RATE_HZ)
        self._seq += 1
        event = final.event(self._seq, own, self._decode)
        self._emit(event, result.job_id, final.origin_s)

    def _emit_stats(self) -> None:
        self._stats_s, self._audio_since_stats = self._now_s, 0
        lag_s = (self._buffer.end - self._ledger.settled) / SAMPLE_RATE_HZ + self.backlog_s
        waiting = (p.said.start for p in self._pending if isinstance(p, PendingFinal))
        settled = next(waiting, self._ledger.settled)
        clock, count = self._clock, self._ledger.count()
        self._emit(Stats(clock.jitter_s, lag_s, clock.drift_ppm, clock.gaps, count, settled))

    def _emit(self, event: Event, job_id: str = "", origin_s: float = 0.0) -> None:
        self._out.append(Emit(event, job_id, origin_s))

    def _take(self) -> list[Effect]:
        out, self._out = self._out, []
        return out
