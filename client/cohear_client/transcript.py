"""What a stream said in the end: its finals, in the order of the audio.

It collects events and renders plain text; file formats are the command line's part.
"""

from __future__ import annotations

from dataclasses import dataclass

from .protocol import Done, Final, SampleCount, ServerMessage, Word
from .writing import joined_texts


@dataclass(frozen=True, slots=True)
class Statistics:
    """What Whisper's own tools tell of a segment: figures of the window that it was decoded in."""

    window_start_s: float
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """The segments of a stream in the order of the audio."""

    segments: tuple[Final, ...] = ()
    samples: SampleCount | None = None
    """each sample's fate; None when the stream did not end in order"""
    statistics: tuple[Statistics, ...] = ()
    """one a segment, where files were decoded in this process; else none"""

    @property
    def text(self) -> str:
        """All segments as one line."""
        return joined_texts((s.text for s in self.segments), self.language)

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for segment in self.segments for word in segment.words)

    @property
    def language(self) -> str:
        """The language of the first segment; empty when nothing was said."""
        return self.segments[0].language if self.segments else ""


class TranscriptBuilder:
    """Takes events of a stream, in order, and gives the transcript so far."""

    def __init__(self) -> None:
        self._segments: dict[int, Final] = {}
        self._samples: SampleCount | None = None

    def add(self, event: ServerMessage) -> None:
        """Take in one event; those that change no text are skipped."""
        match event:
            case Final():
                self._segments[event.segment_id] = event
            case Done():
                self._samples = event.samples

    def transcript(self) -> Transcript:
        segments = sorted(self._segments.values(), key=lambda s: s.start_s)
        return Transcript(tuple(s for s in segments if s.text.strip()), self._samples)
