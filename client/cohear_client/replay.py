"""Audio that may have to be sent again after a lost connection, and events of the session that follows.

Positions are the client's samples since the stream began, whatever sessions it took. It knows no
sockets; when to replay is `stream`'s part.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from msgspec.structs import replace

from .pcm import frame_bytes
from .protocol import Final, Partial, ServerMessage, SpeechEnded, SpeechStarted, Start, Word

KEEP_S = 60.0
"""Bound of what is kept (1.9 MB at 16 kHz): the oldest is forgotten, and counted if it was needed."""


class Replay:
    """The audio sent since the last final, at most `KEEP_S` of it, as samples [`start`, `end`)."""

    def __init__(self, start: Start, keep_s: float = KEEP_S) -> None:
        self._frame_bytes = frame_bytes(start)
        self._keep = int(keep_s * start.sample_rate)
        self._pieces: deque[bytes] = deque()
        self.start = self.end = 0

    def append(self, audio: bytes) -> None:
        """Keep what is about to be sent: whole samples of every channel."""
        self._pieces.append(audio)
        self.end += len(audio) // self._frame_bytes
        self.forget_before(self.end - self._keep)

    def forget_before(self, sample: int) -> None:
        """Audio before `sample` has become final. Whole pieces go, so a little more than needed stays."""
        while self._pieces and self.start + len(self._pieces[0]) // self._frame_bytes <= sample:
            self.start += len(self._pieces.popleft()) // self._frame_bytes

    def since(self, sample: int) -> bytes:
        """What is kept from `sample` on; `start` tells how much of it was forgotten."""
        audio = b"".join(self._pieces)
        return audio[max(0, sample - self.start) * self._frame_bytes :]


@dataclass(frozen=True, slots=True)
class Shift:
    """How a later session of one stream counts: its own zero lies at these places of the stream."""

    seconds: float = 0.0
    seq: int = 0
    segments: int = 0

    def of(self, event: ServerMessage) -> ServerMessage:
        """The event in the stream's own count."""
        match event:
            case SpeechStarted() | SpeechEnded():
                return replace(event, at_s=event.at_s + self.seconds)
            case Partial(seq=seq, segment_id=segment):
                words = None if event.words is None else self._words(event.words)
                event = replace(event, seq=seq + self.seq, segment_id=segment + self.segments, words=words)
                return replace(event, audio_end_s=event.audio_end_s + self.seconds)
            case Final(seq=seq, segment_id=segment):
                words = self._words(event.words)
                event = replace(event, seq=seq + self.seq, segment_id=segment + self.segments, words=words)
                return replace(event, start_s=event.start_s + self.seconds, end_s=event.end_s + self.seconds)
        return event

    def _words(self, words: tuple[Word, ...]) -> tuple[Word, ...]:
        return tuple(replace(w, start_s=w.start_s + self.seconds, end_s=w.end_s + self.seconds) for w in words)
