"""The speech that goes on: the open segment, its partials, the final of a pause that may be its end, and its end.

The session tells it of boundaries and results; it has windows decoded and shows what is understood. When a segment
ends it hands over the final that waits for its text.
"""

from __future__ import annotations

from dataclasses import replace

from .attempts import Attempt
from .context import own_words
from .effects import Effects
from .events import Reason
from .finals import PendingFinal
from .jobs import DecodeResult
from .options import SessionOptions
from .requests import CUT_DEADLINE_S, FINAL_DEADLINE_S, Requests
from .segment import OpenSegment, PartialOptions


class Speech:
    def __init__(self, requests: Requests, effects: Effects, options: SessionOptions) -> None:
        self.options = options
        self.segments = 0
        """how many have begun"""
        self._requests = requests
        self._effects = effects
        self._segment: OpenSegment | None = None
        self._cadence: PartialOptions | None = options.partials
        """of partials now; None: overload leaves no room for any"""

    @property
    def open(self) -> bool:
        return self._segment is not None

    @property
    def segment(self) -> OpenSegment:
        """The open one."""
        assert self._segment is not None, "no segment is open"
        return self._segment

    def begin(self, start: int, at: int) -> None:
        self._segment = OpenSegment(self.segments, start, at, self._cadence or self.options.partials)
        self.segments += 1

    def pace(self, share: float) -> None:
        """Partials at this share of the usual cadence; 0: none."""
        usual = self.options.partials
        self._cadence = replace(usual, interval_ms=round(usual.interval_ms / share)) if share else None
        if self._segment is not None and self._cadence is not None:
            self._segment.options = self._cadence

    def partial_if_due(self, position: int, now_s: float) -> None:
        """Have the segment decoded as it is at `position`, if it is time; not while its end is decoded."""
        segment, cadence = self._segment, self._cadence
        if segment is None or cadence is None or not self.options.show_partials or segment.attempts.speculation:
            return
        window = segment.due_window(position)
        if window is not None:
            job, attempt = self._requests.partial(segment, window, cadence, now_s)
            segment.attempts.partial(attempt)
            self._effects.submit(job)

    def speculate(self, end: int, now_s: float) -> None:
        """The pause may be the end: decode as if it were, so that the final is ready when it is."""
        options = self.options.segmenter
        left_s = (options.endpoint_ms - options.pause_ms) / 1000
        self.segment.attempts.speculate(self._final(self.segment, end, FINAL_DEADLINE_S + left_s, now_s))

    def go_on(self) -> None:
        """The pause was none."""
        self._effects.cancel(self.segment.attempts.take_back())

    def cut(self, at: int, now_s: float) -> PendingFinal:
        """The segment ends and the next begins there: what was heard behind the cut moves on at once."""
        segment = self.segment
        follower = segment.cut(at)
        if follower.revision:
            self._show(segment, at, now_s)
        final = self.end(at, "max_length", now_s)
        self._segment = follower
        self.segments += 1
        if follower.revision:
            self._show(follower, segment.heard_until, now_s)
        return final

    def end(self, end: int, reason: Reason, now_s: float) -> PendingFinal:
        """The final of the segment, whose result is there already if the pause was decoded as its end."""
        segment, self._segment = self.segment, None
        attempt = segment.attempts.final(end)
        self._effects.cancel(segment.attempts.close())
        if attempt is None:
            deadline_s = CUT_DEADLINE_S if reason == "max_length" else FINAL_DEADLINE_S
            attempt = self._final(segment, end, deadline_s, now_s)
        said = self._requests.context.add(segment.start, end)
        return PendingFinal(segment.id, said, reason, now_s, attempt)

    def begun(self, job_id: str) -> None:
        """The engine is at work on this job."""
        if self._segment is not None:
            self._segment.begun(job_id)

    def resolve(self, result: DecodeResult, now_s: float) -> None:
        """Show what was heard, if it is of the open segment."""
        segment = self._segment
        attempt = segment.attempts.resolve(result) if segment is not None else None
        if segment is None or attempt is None or result.error is not None:
            return
        if any(said.words is None for said in attempt.context):
            return  # whose words they are is not known yet
        if segment.hear(own_words(result, attempt.context, segment.start), attempt.window):
            self._show(segment, attempt.window.end, attempt.origin_s, result.job_id)

    def _final(self, segment: OpenSegment, end: int, deadline_s: float, now_s: float) -> Attempt:
        job, attempt = self._requests.final(segment, end, deadline_s, now_s)
        self._effects.submit(job)
        return attempt

    def _show(self, segment: OpenSegment, end: int, origin_s: float, job_id: str = "") -> None:
        """A partial of what is understood of a segment, by the decoding named, if there was one."""
        if self.options.show_partials:
            partial = segment.partial(self._effects.next_seq(), end, words=self._requests.decode.word_times)
            self._effects.emit(partial, job_id, origin_s)
