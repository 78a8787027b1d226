"""One stream as a state machine: commands, results and `now` go in; effects come out, in order.

        handle(Audio) --> Intake --SegmentEvent--> OpenSegment --> partial job --+
                                       |                                         | resolve(result)
                                       +-- Pause --> speculative final job ------+
                                       +-- Cut, SpeechEnd --> Finals, in order --+--> events

Its states and transitions are the table in `states`. It knows no wire, no scheduler and no clock: times are handed in,
in seconds of one monotonic clock. Finals leave in the order of their segments, each once. Every sample is settled once,
as transcribed, silent or shed. Positions are samples at 16 kHz since the stream began. It keeps the audio of the open
segment, of the context before it and of one slice, and a bounded number of marks and of finished segments.
"""

from __future__ import annotations

from collections.abc import Iterator

from .attempts import Attempt
from .audio import AudioFormat
from .clock import StatsTimer
from .commands import Audio, Command, Configure, Finalize, Resume, Stop, Tick
from .effects import Effect, Effects
from .events import Done, Finalized, Notice, Reason, SpeechEnded, SpeechStarted, Stats
from .finals import MAX_BACKLOG_S, Finals, Mark, PendingFinal
from .intake import Intake
from .jobs import SAMPLE_RATE_HZ, DecodeOptions, DecodeResult
from .ledger import Ledger, SampleCount
from .options import SessionOptions
from .requests import Requests
from .segmenter import Cut, Pause, Resumption, SegmentEvent, SpeechEnd, SpeechStart
from .speech import Speech
from .state import SessionState
from .states import Drained, State, following
from .vad import SileroNetwork

STATS_INTERVAL_S = 5.0

MEMORY_BYTES = 4 << 20
"""What a session keeps at most, if it is given slices of audio, and none while it is `full`."""


class Session:
    def __init__(
        self,
        session_id: str,
        fmt: AudioFormat,
        decode: DecodeOptions,
        options: SessionOptions,
        network: SileroNetwork | None = None,
    ) -> None:
        """`network` is what the detector of `options` needs, if it does. Raises ServerError(`no_vad`) without."""
        self.id = session_id
        self.options = options
        self._state = State.QUIET
        self._intake = Intake(fmt, options, network)
        self._ledger = Ledger(self._intake.decoder)
        self._requests = Requests(session_id, self._intake.buffer, decode, options)
        self._effects = Effects()
        self._speech = Speech(self._requests, self._effects, options)
        self._finals = Finals()
        self._now_s = self._heard_s = 0.0
        self._stats_timer = StatsTimer(STATS_INTERVAL_S)
        self.economize(0.0)

    @property
    def format(self) -> AudioFormat:
        return self._intake.decoder.format

    @property
    def stopping(self) -> bool:
        """No more audio is taken."""
        return self._state in (State.DRAINING, State.DONE)

    @property
    def done(self) -> bool:
        return self._state is State.DONE

    @property
    def backlog_s(self) -> float:
        """Seconds of finished segments that wait for their text."""
        return self._finals.backlog_s

    @property
    def full(self) -> bool:
        """Whether so much waits for its text that no more audio should be taken now. If it is, nothing is lost."""
        return self._finals.backlog_s > MAX_BACKLOG_S

    @property
    def endpoint_ms(self) -> int:
        """The present endpoint silence."""
        return self.options.segmenter.endpoint_ms

    def samples(self) -> SampleCount:
        return self._ledger.count()

    def handle(self, command: Command, now_s: float) -> list[Effect]:
        """Take in a command of the client, or a tick. Raises ClientError for a command that cannot be taken
        (`bad_audio`, `bad_field`, `bad_options`, `stopped`, `too_many`); the session is then as it was before."""
        following(self._state, type(command))
        self._now_s = now_s
        match command:
            case Audio(data):
                self._receive(data)
            case Configure():
                self._configure(command)
            case Finalize(mark):
                self._finalize(mark)
            case Stop():
                self._stop()
            case Tick():
                if self._speech.open and now_s - self._heard_s >= self.options.stall_s:
                    self._end_open_segment("endpoint")
            case Resume():
                self._heard_s = now_s
                self._intake.clock.resume(now_s)
                self._finals.client_came_back()
        self._tell_stats()
        return self._effects.take()

    def begun(self, job_id: str) -> None:
        """The engine has begun on this job."""
        self._speech.begun(job_id)

    def resolve(self, result: DecodeResult, now_s: float) -> list[Effect]:
        """Take in the result of one of this session's jobs. Unknown and stale results are ignored."""
        self._now_s = now_s
        self._speech.begun(result.job_id)
        self._speech.resolve(result, now_s)
        self._finals.resolve(result)
        self._drain()
        return self._effects.take()

    def pace(self, share: float) -> None:
        """Partials come at this share of the usual cadence from now on; 0: none. For overload."""
        self._speech.pace(share)

    def economize(self, economy: float) -> None:
        """How much accuracy to trade for speed, 0 to 1, unless the client decides it: with more, segments are shorter
        and have less context. Each final says what was traded."""
        economy = {"auto": economy, "accuracy": 0.0, "speed": 1.0}[self.options.prefer]
        self._intake.segmenter.economy = self._requests.context.economy = economy

    def state(self) -> SessionState | None:
        """All that another session needs to continue from here; None while some speech is not final."""
        if self._state is not State.QUIET or self._finals:
            return None
        return SessionState(
            format=self.format,
            options=self.options,
            intake=self._intake.state(),
            ledger=self._ledger.state(),
            requests=self._requests.state(),
            marks=self._finals.marks_here,
            segments=self._speech.segments,
            seq=self._effects.seq,
        )

    @classmethod
    def restore(cls, session_id: str, state: SessionState, network: SileroNetwork | None = None) -> Session:
        """A session that continues where another one was, from `samples().received` on."""
        session = cls(session_id, state.format, state.requests.decode, state.options, network)
        session._intake.restore(state.intake)
        session._ledger.restore(state.ledger)
        session._requests.restore(state.requests)
        session._finals = Finals(state.marks)
        session._speech.segments, session._effects.seq = state.segments, state.seq
        return session

    def _receive(self, data: bytes) -> None:
        events = self._intake.receive(data, self._now_s)
        self._heard_s = self._now_s
        if data:
            self._finals.audio_came()
        self._follow(events)
        if self._intake.clipped_now():
            self._effects.emit(Notice("clipped", "float samples beyond -1..1 were limited; lower the level"))

    def _configure(self, change: Configure) -> None:
        options = self.options.configured(change)
        if change.format is not None:
            self._intake.change_format(change.format)
            self._ledger = Ledger(self._intake.decoder)
        self.options = options
        self._speech.options = self.options
        self._intake.segmenter.options = self.options.segmenter
        self._requests.configure(change)
        if change.prefer is not None:
            self.economize(0.0)

    def _finalize(self, mark: str) -> None:
        if self._finals.repeats(mark):
            return
        self._end_open_segment("finalize")
        self._finals.mark(mark)
        self._drain()

    def _stop(self) -> None:
        if self.stopping:
            return
        self._follow(self._intake.flush())
        self._end_open_segment("stop")
        self._ledger.close("silent")
        self._move(Stop)
        self._drain()

    def _move(self, trigger: type) -> None:
        self._state = following(self._state, trigger)

    def _follow(self, events: Iterator[SegmentEvent]) -> None:
        for event in events:
            self._on_boundary(event)
            # inside the loop: one frame of the client may hold several segments
            self._speech.partial_if_due(self._intake.position, self._now_s)
        self._speech.partial_if_due(self._intake.position, self._now_s)
        if not self._speech.open:
            self._ledger.settle(max(self._ledger.settled, self._intake.segmenter.silent_until), "silent")
            self._forget_before(self._ledger.settled)

    def _on_boundary(self, event: SegmentEvent) -> None:
        self._move(type(event))
        match event:
            case SpeechStart(start, at):
                self._effects.emit(SpeechStarted(at))
                self._ledger.settle(max(self._ledger.settled, start), "silent")
                self._speech.begin(start, at)
            case Pause(end):
                self._speech.speculate(end, self._now_s)
            case Resumption():
                self._speech.go_on()
            case Cut(at, early):
                self._finish(self._speech.cut(at, self._now_s), ("early_cut",) if early else ())
            case SpeechEnd(end, reason):
                final = self._speech.end(end, reason, self._now_s)
                self._effects.emit(SpeechEnded(end))
                self._finish(final)

    def _end_open_segment(self, reason: Reason) -> None:
        event = self._intake.end_segment(reason)
        if event is not None:
            self._on_boundary(event)

    def _finish(self, final: PendingFinal, traded: tuple[str, ...] = ()) -> None:
        final.settled = self._ledger.settle(final.said.end, "transcribed")
        final.traded = traded
        self._finals.add(final)
        self._forget_before(final.said.end)
        self._drain()

    def _forget_before(self, sample: int) -> None:
        """Drop audio that is settled, except for context and for audio not judged yet (after a `Finalize`)."""
        self._intake.forget_before(min(sample, self._requests.context.needed_from(self._intake.position)))

    def _drain(self) -> None:
        while (head := self._finals.ready()) is not None:
            if isinstance(head, Mark):
                self._effects.emit(Finalized(head.id))
            elif not self._tell(head):
                return
            self._finals.pop()
        if self._state is State.DRAINING and not self._finals:
            self._move(Drained)
            self._effects.emit(Done(self._ledger.count(), self._speech.segments))

    def _tell(self, final: PendingFinal) -> bool:
        """Emit the final, or that its segment is lost. False if the segment is decoded once more."""
        own, said = final.own, final.said
        assert own is not None
        if own.error is not None:
            said.words = ()
            self._ledger.move_to_shed(final.settled)
            self._effects.emit(final.lost(own.error), own.job_id)
            return True
        if not own.words and self._again_alone(final):
            return False
        said.words = own.words
        self._requests.language.observe(own, (said.end - said.start) / SAMPLE_RATE_HZ)
        event = final.event(self._effects.next_seq(), own, self._requests.decode)
        self._effects.emit(event, own.job_id, final.origin_s)
        return True

    def _again_alone(self, final: PendingFinal) -> bool:
        """Decode a segment once more without its context, if nothing was heard after the context: Whisper may stop
        where a text seems complete. Whether it does so."""
        job = self._requests.alone(final) if final.attempt.context else None
        if job is None:
            return False
        self._effects.cancel([final.attempt.job_id])
        self._effects.submit(job)
        final.attempt = Attempt(job.id, final.attempt.window, final.origin_s)
        return True

    def _tell_stats(self) -> None:
        clock, count = self._intake.clock, self._ledger.count()
        if self.done or not self._stats_timer.due(self._now_s, count.received / self.format.sample_rate_hz):
            return
        settled, oldest = self._ledger.settled, self._finals.oldest_start
        lag_s = (self._intake.buffer.end - settled) / SAMPLE_RATE_HZ + self.backlog_s
        known = settled if oldest is None else oldest
        self._effects.emit(Stats(clock.jitter_s, lag_s, clock.drift_ppm, clock.gaps, count, known))
