"""The open segment of a session: its partials, its speculative final in a pause, and its end.

The session gives it boundaries and results. It requests decodes and emits partials. When the segment ends, it returns
the pending final.
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
        """number of segments so far"""
        self._requests = requests
        self._effects = effects
        self._segment: OpenSegment | None = None
        self._cadence: PartialOptions | None = options.partials
        """the present cadence of partials; None: none, because of overload"""

    @property
    def open(self) -> bool:
        return self._segment is not None

    @property
    def segment(self) -> OpenSegment:
        """The open segment."""
        assert self._segment is not None, "no segment is open"
        return self._segment

    def begin(self, start: int, at: int) -> None:
        self._segment = OpenSegment(self.segments, start, at, self._cadence or self.options.partials)
        self.segments += 1

    def pace(self, share: float) -> None:
        """Set the cadence to this share of the usual one; 0: no partials."""
        usual = self.options.partials
        self._cadence = replace(usual, interval_ms=round(usual.interval_ms / share)) if share else None
        if self._segment is not None and self._cadence is not None:
            self._segment.options = self._cadence

    def partial_if_due(self, position: int, now_s: float) -> None:
        """Request a partial of the segment up to `position`, if one is due; not while a speculative final is
        decoded."""
        segment, cadence = self._segment, self._cadence
        if segment is None or cadence is None or not self.options.show_partials or segment.attempts.speculation:
            return
        window = segment.due_window(position)
        if window is not None:
            job, attempt = self._requests.partial(segment, window, cadence, now_s)
            segment.attempts.partial(attempt)
            self._effects.submit(job)

    def speculate(self, end: int, now_s: float) -> None:
        """Request the final as if the pause were the end, so that it is ready if it is."""
        options = self.options.segmenter
        left_s = (options.endpoint_ms - options.pause_ms) / 1000
        self.segment.attempts.speculate(self._final(self.segment, end, FINAL_DEADLINE_S + left_s, now_s))

    def go_on(self) -> None:
        """Speech goes on after the pause."""
        self._effects.cancel(self.segment.attempts.take_back())

    def cut(self, at: int, now_s: float) -> PendingFinal:
        """The segment ends at `at` and the next begins there, with the words that were heard after the cut."""
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
        """End the segment. Its final may have its result already, from the speculative final."""
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
        """Show the result as a partial, if it belongs to the open segment."""
        segment = self._segment
        attempt = segment.attempts.resolve(result) if segment is not None else None
        if segment is None or attempt is None or result.error is not None:
            return
        if any(said.words is None for said in attempt.context):
            return  # the words of the context are not known yet, so they cannot be removed
        if segment.hear(own_words(result, attempt.context, segment.start), attempt.window):
            self._show(segment, attempt.window.end, attempt.origin_s, result.job_id)

    def _final(self, segment: OpenSegment, end: int, deadline_s: float, now_s: float) -> Attempt:
        job, attempt = self._requests.final(segment, end, deadline_s, now_s)
        self._effects.submit(job)
        return attempt

    def _show(self, segment: OpenSegment, end: int, origin_s: float, job_id: str = "") -> None:
        """Emit a partial of the segment; `job_id` is the job that it comes from, if there is one."""
        if self.options.show_partials:
            partial = segment.partial(self._effects.next_seq(), end, words=self._requests.decode.word_times)
            self._effects.emit(partial, job_id, origin_s)
