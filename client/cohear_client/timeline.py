"""The sessions of one stream as one conversation: events in the stream's own count, each once.

A stream may take several sessions, where a server was restarted or handed over. Each counts its samples, events and
segments from zero; the timeline knows where these zeros lie, and how far the conversation is settled: the audio before
is final or silent, and no session has to hear it again. It knows no sockets and keeps no audio.
"""

from __future__ import annotations

from msgspec.structs import replace

from .protocol import (
    Done,
    Error,
    Final,
    Finalized,
    Partial,
    SampleCount,
    ServerMessage,
    SpeechEnded,
    SpeechStarted,
    Stats,
    Warning,
    Word,
)


class Timeline:
    """Takes the events of a stream's sessions. Samples are the client's."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self.begun = 0
        """the present session's first sample"""
        self.settled = 0
        """first sample that is neither final nor silent yet"""
        self.lasting = 0
        """messages of the present session that a server sends again to who does not have them"""
        self._last_seq = self._seq_before = 0
        self._next_segment = self._segments_before = 0
        self._count_before = SampleCount()
        self._transcribed = self._shed = 0  # of the present session, by its events
        self._done: SampleCount | None = None

    @property
    def session_seq(self) -> int:
        """The last event that came, in the present session's count."""
        return max(0, self._last_seq - self._seq_before)

    def begin_again(self) -> None:
        """A new session follows: it hears what is not settled, and counts from zero."""
        length = self.settled - self.begun
        silent = length - self._transcribed - self._shed
        count = self._done or SampleCount(length, self._transcribed, silent, self._shed)
        self._count_before = _sum(self._count_before, count)
        self.begun, self._done = self.settled, None
        self._transcribed = self._shed = 0
        self.lasting = 0
        self._seq_before, self._segments_before = self._last_seq, self._next_segment

    def take(self, event: ServerMessage) -> ServerMessage | None:
        """The event as one of the stream; None if it came before."""
        self.lasting += isinstance(event, Final | Finalized | Error | Done)
        match event:
            case SpeechStarted() | SpeechEnded():
                return replace(event, at_s=self._moved(event.at_s))
            case Partial() | Final():
                return self._numbered(event)
            case Stats():
                self._settle(self._place(event.settled_s))
                count = _sum(self._count_before, event.samples)
                return replace(event, samples=count, settled_s=self._moved(event.settled_s))
            case Error():
                return self._error(event)
            case Warning(start_s=float(start_s), end_s=float(end_s)):
                return replace(event, start_s=self._moved(start_s), end_s=self._moved(end_s))
            case Done():
                self._done = event.samples
                self._next_segment = max(self._next_segment, self._segments_before + event.segments)
                self._settle(self.begun + event.samples.received)
                count = _sum(self._count_before, event.samples)
                return replace(event, samples=count, segments=self._segments_before + event.segments)
        return event

    def _numbered(self, event: Partial | Final) -> ServerMessage | None:
        seq = event.seq + self._seq_before
        if seq <= self._last_seq:
            return None  # sent again by a server that could not know that it had come
        segment = event.segment_id + self._segments_before
        self._last_seq, self._next_segment = seq, max(self._next_segment, segment + 1)
        words = None if event.words is None else self._words(event.words)
        if isinstance(event, Partial):
            end_s = self._moved(event.audio_end_s)
            return replace(event, seq=seq, segment_id=segment, words=words, audio_end_s=end_s)
        start_s, end_s = self._moved(event.start_s), self._moved(event.end_s)
        self._transcribed += self._settle_stretch(event.start_s, event.end_s)
        return replace(event, seq=seq, segment_id=segment, words=words or (), start_s=start_s, end_s=end_s)

    def _error(self, event: Error) -> Error:
        if event.start_s is None or event.end_s is None:
            return event
        self._shed += self._settle_stretch(event.start_s, event.end_s)
        return replace(event, start_s=self._moved(event.start_s), end_s=self._moved(event.end_s))

    def _settle_stretch(self, start_s: float, end_s: float) -> int:
        """A stretch of the session is settled, and all before it. Returns its samples."""
        end = self._place(end_s)
        count = max(0, end - max(self.settled, self._place(start_s)))
        self._settle(end)
        return count

    def _settle(self, sample: int) -> None:
        self.settled = max(self.settled, sample)

    def _place(self, session_s: float) -> int:
        # halves go up, as in the server's own ledger
        return self.begun + int(session_s * self._rate_hz + 0.5)

    def _moved(self, session_s: float) -> float:
        return session_s + self.begun / self._rate_hz

    def _words(self, words: tuple[Word, ...]) -> tuple[Word, ...]:
        return tuple(replace(w, start_s=self._moved(w.start_s), end_s=self._moved(w.end_s)) for w in words)


def _sum(a: SampleCount, b: SampleCount) -> SampleCount:
    return SampleCount(a.received + b.received, a.transcribed + b.transcribed, a.silent + b.silent, a.shed + b.shed)
