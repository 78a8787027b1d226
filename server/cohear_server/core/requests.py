"""Makes decode jobs of windows: with a number, the language, the present options, and the context.

It decides neither when a window is decoded nor what happens with the result.
"""

from __future__ import annotations

from dataclasses import replace

from .attempts import Attempt, Span
from .buffer import AudioBuffer
from .commands import Configure
from .context import Context
from .finals import PendingFinal
from .jobs import DecodeJob, DecodeOptions, JobKind
from .language import SessionLanguage
from .level import raised
from .options import SessionOptions
from .segment import OpenSegment, PartialOptions
from .state import RequestsState

FINAL_DEADLINE_S = 0.1
"""A final is wanted this soon after its endpoint is known."""

CUT_DEADLINE_S = 0.8
"""The final of a cut segment may take longer: the speaker goes on, and partials show its words already."""


class Requests:
    """The requests of one session. Each is a job to submit, and the attempt that waits for its result."""

    def __init__(self, session_id: str, buffer: AudioBuffer, decode: DecodeOptions, options: SessionOptions) -> None:
        self.decode = decode
        self.context = Context(options.context)
        """the segments before"""
        self.language = SessionLanguage()
        self.count = 0
        self._session_id = session_id
        self._tenant = options.tenant
        self._buffer = buffer

    def state(self) -> RequestsState:
        return RequestsState(self.decode, self.count, self.language.state(), self.context.said)

    def restore(self, state: RequestsState) -> None:
        """Continue where another one was."""
        self.decode, self.count = state.decode, state.count
        self.language = SessionLanguage(state.language)
        self.context.restore(state.said)

    def configure(self, change: Configure) -> None:
        """Change the options of all later windows."""
        now = self.decode
        self.decode = replace(
            now,
            language=now.language if change.language is None else change.language,
            task=now.task if change.task is None else change.task,
            prompt=now.prompt if change.prompt is None else change.prompt,
            hotwords=now.hotwords if change.hotwords is None else change.hotwords,
            word_times=now.word_times if change.words is None else change.words,
        )

    def partial(
        self, segment: OpenSegment, window: Span, options: PartialOptions, now_s: float
    ) -> tuple[DecodeJob, Attempt]:
        """A job for `window` of the open segment."""
        whole = options.with_context and window.start == segment.start
        context = self.context.before(segment.start, window.end) if whole else ()
        decoded = replace(window, start=context[0].start) if context else window
        job = self._job(JobKind.PARTIAL, segment.id, decoded, options.interval_ms / 1000)
        return job, Attempt(job.id, window, now_s, context)

    def final(self, segment: OpenSegment, end: int, deadline_s: float, now_s: float) -> tuple[DecodeJob, Attempt]:
        """A job for the segment up to `end`, with its context if it is short."""
        context = self.context.before(segment.start, end)
        start = context[0].start if context else segment.start
        job = self._job(JobKind.FINAL, segment.id, Span(start, end), deadline_s)
        traded = ("short_context",) if self.context.shortened(segment.start, end) else ()
        return job, Attempt(job.id, Span(segment.start, end), now_s, context, traded)

    def alone(self, final: PendingFinal) -> DecodeJob | None:
        """A job for a finished segment once more, without context; None if its audio is gone."""
        said = final.said
        if said.start < self._buffer.start:
            return None
        return self._job(JobKind.FINAL, final.segment_id, Span(said.start, said.end), FINAL_DEADLINE_S)

    def _job(self, kind: JobKind, segment_id: int, window: Span, deadline_s: float) -> DecodeJob:
        timed = window.timed if kind is JobKind.PARTIAL else self.decode.word_times
        known = self.language.ask() if kind is JobKind.FINAL else self.language.language
        options = replace(self.decode, word_times=timed, language=self.decode.language or known)
        pcm = raised(self._buffer.read(window.start, window.end))
        job_id = f"{self._session_id}.{self.count}"
        self.count += 1
        return DecodeJob(job_id, self._session_id, self._tenant, segment_id, pcm, kind, deadline_s, options)
