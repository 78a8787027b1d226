"""Where speech starts and ends: speech probabilities in, segment boundaries out.

It sees one probability and the power of each frame, holds no audio, and settles boundaries to the frame.
A segment begins `pre_roll_ms` before its first voiced frame and ends `post_roll_ms` after its last;
everything outside is silence that never reaches the model.

    quiet --(min_speech_ms voiced within 200 ms)--> speech --(endpoint_ms unvoiced)--> quiet
                                                     |  ^ after early_silence_ms: Pause; voiced again: Resume
                                                     +--+ at max_segment_s: cut at the quietest point, go on

Half of the pauses are no end of speech, and what was decoded for it would be in vain. Where the engine has much to do
(`haste`), a segment that is long enough ends there all the same, and that is its final.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .events import Reason
from .jobs import SAMPLE_RATE_HZ
from .vad import FRAME_SAMPLES, decibels

FRAME_MS = 1000 * FRAME_SAMPLES // SAMPLE_RATE_HZ
_ONSET_FRAMES = 10


@dataclass(frozen=True, slots=True)
class SegmenterOptions:
    endpoint_ms: int = 500
    """unvoiced time that ends a segment (hangover)"""
    early_silence_ms: int = 200
    """unvoiced time after which the end is likely enough to decode for it"""
    min_speech_ms: int = 80
    """voiced time within 200 ms that starts a segment; shorter clicks are silence"""
    pre_roll_ms: int = 300
    post_roll_ms: int = 200
    max_segment_s: float = 10.0
    """Cutting at 10, 12, 15 or 20 s hears the same (5.5 % of 4,000 words wrong, tiny.en), and a final of 20 s takes too
    long for anybody who waits for it."""
    hasty_cut_s: float = 3.0
    """In full haste a segment longer than this ends at any pause, even if speech goes on; with less haste a longer one.
    By it 26 streams have their text a quarter sooner (bench/simulate.py), and as many words are wrong."""
    cut_search_s: float = 6.0
    """a segment that grows too long is cut at the quietest point of its last seconds"""
    start_probability: float = 0.5
    keep_probability: float = 0.35


@dataclass(frozen=True, slots=True)
class SpeechStart:
    """A segment opened; audio from `start` on belongs to it, speech was first heard at `at` (16 kHz samples)."""

    start: int
    at: int
    continues: bool = False
    """the segment before it was cut for its length: the speaker never paused"""


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing was said for `early_silence_ms`; if that lasts, the segment will end at `end`."""

    end: int


@dataclass(frozen=True, slots=True)
class Resumption:
    """The pause was none: speech goes on."""


@dataclass(frozen=True, slots=True)
class SpeechEnd:
    """The segment is [its start, `end`); `reason` max_length means that the next one begins right there."""

    end: int
    reason: Reason


SegmentEvent = SpeechStart | Pause | Resumption | SpeechEnd


class Segmenter:
    def __init__(self, options: SegmenterOptions) -> None:
        self.options = options
        self.haste = 0.0
        """0 to 1, see `hasty_cut_s`"""
        self.position = 0
        """samples judged so far, a whole number of frames"""
        self._floor = 0
        """no segment may begin before this sample: it is settled"""
        self._start: int | None = None
        self._last_voiced = 0
        self._paused = False
        self._recent: deque[bool] = deque(maxlen=_ONSET_FRAMES)
        self._powers: deque[float] = deque(maxlen=max(1, int(options.cut_search_s * 1000) // FRAME_MS))

    @property
    def open_since(self) -> int | None:
        """First sample of the open segment, or None in silence."""
        return self._start

    @property
    def silent_until(self) -> int:
        """In silence: samples before this one can no longer become part of a segment."""
        kept = self.position - _samples(self.options.pre_roll_ms) - _ONSET_FRAMES * FRAME_SAMPLES
        return max(self._floor, kept)

    def push(self, probabilities: NDArray[np.float32], powers: NDArray[np.float32]) -> Iterator[SegmentEvent]:
        """Judge the next frames, in order. Events must be drawn before the next call."""
        for probability, power in zip(probabilities.tolist(), powers.tolist(), strict=True):
            self.position += FRAME_SAMPLES
            self._powers.append(power)
            yield from self._quiet(probability) if self._start is None else self._speaking(probability)

    def flush(self, end: int, reason: Reason) -> SpeechEnd | None:
        """End an open segment at once, at `end` at the latest (all audio there is)."""
        if self._start is None:
            return None
        if self._paused:
            end = min(end, self._natural_end())
        return self._end(end, reason)

    def _quiet(self, probability: float) -> Iterator[SegmentEvent]:
        self._recent.append(probability >= self.options.start_probability)
        if sum(self._recent) * FRAME_MS < self.options.min_speech_ms:
            return
        first = len(self._recent) - list(self._recent).index(True)
        at = max(self._floor, self.position - first * FRAME_SAMPLES)
        self._start = max(self._floor, at - _samples(self.options.pre_roll_ms))
        self._last_voiced = self.position
        self._paused = False
        yield SpeechStart(self._start, at)

    def _speaking(self, probability: float) -> Iterator[SegmentEvent]:
        options = self.options
        if probability >= options.keep_probability:
            pause = self._natural_end() if self._paused else None
            self._last_voiced, self._paused = self.position, False
            if pause is not None:
                yield from self._cut(pause) if self._long_enough(pause) else (Resumption(),)
        unvoiced_ms = (self.position - self._last_voiced) * 1000 // SAMPLE_RATE_HZ
        if unvoiced_ms >= options.endpoint_ms:
            yield self._end(self._natural_end(), "endpoint")
        elif not self._paused and options.early_silence_ms <= unvoiced_ms:
            self._paused = True
            yield Pause(self._natural_end())
        elif self._length(self.position) >= options.max_segment_s * SAMPLE_RATE_HZ:
            yield from self._cut(self._quietest())

    def _cut(self, at: int) -> Iterator[SegmentEvent]:
        yield self._end(at, "max_length")
        # a cut within a pause leaves no speech behind it: the next word starts a segment of its own
        if at < self._last_voiced:
            self._start = at
            self._paused = False
            yield SpeechStart(at, at, continues=True)

    def _long_enough(self, end: int) -> bool:
        """To end at a pause there."""
        longest_s, shortest_s = self.options.max_segment_s, self.options.hasty_cut_s
        enough_s = longest_s + self.haste * (shortest_s - longest_s)
        return self._length(end) >= enough_s * SAMPLE_RATE_HZ

    def _length(self, end: int) -> int:
        """Of the open segment, if it ended there."""
        assert self._start is not None
        return end - self._start

    def _natural_end(self) -> int:
        return min(self.position, self._last_voiced + _samples(self.options.post_roll_ms))

    def _end(self, end: int, reason: Reason) -> SpeechEnd:
        self._start = None
        self._floor = end
        self._recent.clear()
        return SpeechEnd(end, reason)

    def _quietest(self) -> int:
        """The middle of the quietest 100 ms among the remembered frames."""
        levels = decibels(np.fromiter(self._powers, np.float32))
        width = min(5, len(levels))
        smooth = np.convolve(levels, np.ones(width) / width, "valid")
        # `smooth[i]` covers frames i..i+width; counted back from the newest frame
        back = len(levels) - int(np.argmin(smooth)) - width // 2
        return max(self._start or 0, self.position - back * FRAME_SAMPLES)


def _samples(ms: int) -> int:
    return ms * SAMPLE_RATE_HZ // 1000


def with_endpoint(options: SegmenterOptions, endpoint_ms: int | None) -> SegmenterOptions:
    """The options with a client's own endpoint silence, if it asked for one."""
    if endpoint_ms is None:
        return options
    # the pause must come before the endpoint, and the tail kept after speech must not reach beyond it
    early_ms = min(options.early_silence_ms, endpoint_ms * 2 // 5)
    return replace(options, endpoint_ms=endpoint_ms, early_silence_ms=early_ms)
