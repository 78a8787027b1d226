"""Where speech starts and ends: speech probabilities in, segment boundaries out.

It sees one probability and the power of each frame (20 ms), holds no audio, and settles boundaries to the frame.
A segment begins `pre_roll_ms` before its first voiced frame and ends `post_roll_ms` after its last;
everything outside is silence that never reaches the model.

    quiet --(min_speech_ms voiced within 200 ms)--> speech --(endpoint_ms unvoiced)--> quiet
                                                     |  ^ after pause_ms: Pause; voiced again: Resumption
                                                     +--+ at max_segment_s: Cut at the quietest point, go on

Half of the pauses are no end of speech, and what was decoded for them is wasted. With `economy` a segment that is
long enough is cut there all the same, and what was decoded is its final.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ClientError
from .events import Reason
from .jobs import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, samples_in
from .vad import FRAME_SAMPLES, decibels

FRAME_MS = 1000 * FRAME_SAMPLES // SAMPLE_RATE_HZ
_ONSET_FRAMES = 10
_SMOOTHED_FRAMES = 5


@dataclass(frozen=True, slots=True)
class SegmenterOptions:
    """Raises ClientError(`bad_options`) for values that cannot hold together."""

    endpoint_ms: int = 500
    """unvoiced time that ends a segment (hangover)"""
    early_silence_ms: int = 200
    """unvoiced time after which the end is likely enough to decode for it; two fifths of a shorter endpoint"""
    min_speech_ms: int = 80
    """voiced time within 200 ms that starts a segment; shorter clicks are silence"""
    pre_roll_ms: int = 300
    post_roll_ms: int = 200
    """kept after the last voiced frame, but no more than there is when the end is likely"""
    max_segment_s: float = 10.0
    """Longer segments are no more accurate (measured up to 20 s), and their finals take too long."""
    economic_cut_s: float = 3.0
    """At full economy a segment longer than this is cut at any pause, even if speech goes on; with less economy, a
    longer one. On a full server text comes a quarter sooner, with as few word errors (bench/simulate.py)."""
    cut_search_s: float = 6.0
    """a segment that is too long is cut at the quietest point of its last seconds, at most of its last six tenths"""
    start_probability: float = 0.5
    keep_probability: float = 0.35

    def __post_init__(self) -> None:
        longest_s = (MAX_WINDOW_SAMPLES - FRAME_SAMPLES) / SAMPLE_RATE_HZ
        _refuse(self.endpoint_ms < 3 * FRAME_MS, f"endpoint_ms {self.endpoint_ms}", f"use {3 * FRAME_MS} or more")
        _refuse(
            not FRAME_MS <= self.min_speech_ms <= _ONSET_FRAMES * FRAME_MS,
            f"min_speech_ms {self.min_speech_ms}",
            f"use {FRAME_MS} to {_ONSET_FRAMES * FRAME_MS}",
        )
        _refuse(
            not 1.0 <= self.max_segment_s <= longest_s,
            f"max_segment_s {self.max_segment_s}",
            f"use 1 to {longest_s}: the model hears no longer window",
        )
        _refuse(
            self.endpoint_ms > 1000 * self.max_segment_s,
            f"endpoint_ms {self.endpoint_ms} and max_segment_s {self.max_segment_s}",
            "let a segment be at least as long as the silence that ends it",
        )
        _refuse(
            self.pre_roll_ms + 2 * _ONSET_FRAMES * FRAME_MS > 1000 * self.max_segment_s,
            f"pre_roll_ms {self.pre_roll_ms} and max_segment_s {self.max_segment_s}",
            "use a shorter pre-roll, or longer segments",
        )
        _refuse(
            not self.keep_probability <= self.start_probability,
            f"keep_probability {self.keep_probability} and start_probability {self.start_probability}",
            "let speech go on at no higher a probability than it starts with",
        )

    @property
    def pause_ms(self) -> int:
        """Unvoiced time after which the end of a segment is likely."""
        return max(FRAME_MS, min(self.early_silence_ms, self.endpoint_ms * 2 // 5))

    @property
    def search_frames(self) -> int:
        """How far back the point of a cut is searched; always inside the segment."""
        return max(_SMOOTHED_FRAMES, int(1000 * min(self.cut_search_s, 0.6 * self.max_segment_s)) // FRAME_MS)

    def with_endpoint(self, endpoint_ms: int | None) -> SegmenterOptions:
        """These options with the client's own endpoint silence, if it asked for one.

        Raises ClientError(`bad_options`) where it does not fit the operator's `max_segment_s`."""
        return self if endpoint_ms is None else replace(self, endpoint_ms=endpoint_ms)


def _refuse(wrong: bool, what: str, remedy: str) -> None:
    if wrong:
        raise ClientError("bad_options", f"{what} cannot hold", remedy)


@dataclass(frozen=True, slots=True)
class SpeechStart:
    """A segment begins: audio from `start` on belongs to it, speech was first heard at `at` (16 kHz samples)."""

    start: int
    at: int


@dataclass(frozen=True, slots=True)
class Pause:
    """No voice for `pause_ms`; if that goes on, the segment will end at `end`."""

    end: int


@dataclass(frozen=True, slots=True)
class Resumption:
    """Speech goes on after a `Pause`."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The segment ends at `at`, and the next one begins there, because the speaker goes on."""

    at: int
    early: bool = False
    """True: at a pause, for economy; False: because the segment is too long"""


@dataclass(frozen=True, slots=True)
class SpeechEnd:
    """The segment ends at `end`, with silence after it."""

    end: int
    reason: Reason


SegmentEvent = SpeechStart | Pause | Resumption | Cut | SpeechEnd


class Segmenter:
    def __init__(self, options: SegmenterOptions) -> None:
        self.options = options
        self.economy = 0.0
        """0 to 1, see `economic_cut_s`"""
        self.position = 0
        """samples judged so far"""
        self.floor = 0
        """no segment may begin before this sample: it is settled"""
        self._start: int | None = None
        self._last_voiced = 0
        self._pause: int | None = None
        """where the segment ends if the present pause is its end"""
        self._recent: deque[bool] = deque(maxlen=_ONSET_FRAMES)
        self._powers: deque[float] = deque(maxlen=options.search_frames)

    @property
    def recent(self) -> tuple[bool, ...]:
        """Which of the newest frames were voiced, in silence."""
        return tuple(self._recent)

    @property
    def silent_until(self) -> int:
        """In silence: samples before this one can no longer become part of a segment."""
        kept = self.position - samples_in(self.options.pre_roll_ms) - _ONSET_FRAMES * FRAME_SAMPLES
        return max(self.floor, kept)

    def restore(self, position: int, floor: int, recent: tuple[bool, ...], powers: NDArray[np.float32]) -> None:
        """Continue in silence, where another one was; `powers` are those of the frames before `position`."""
        self.position, self.floor = position, floor
        self._recent.extend(recent)
        self._powers.extend(powers.tolist())

    def push(self, probabilities: NDArray[np.float32], powers: NDArray[np.float32]) -> Iterator[SegmentEvent]:
        """Judge the next frames, in order. Events must be drawn before the next call."""
        for probability, power in zip(probabilities.tolist(), powers.tolist(), strict=True):
            self.position += FRAME_SAMPLES
            self._powers.append(power)
            yield from self._quiet(probability) if self._start is None else self._speaking(self._start, probability)

    def flush(self, end: int, reason: Reason) -> SpeechEnd | None:
        """End an open segment at once, at `end` at the latest (all audio there is)."""
        if self._start is None:
            return None
        return self._end(end if self._pause is None else self._pause, reason)

    def _quiet(self, probability: float) -> Iterator[SegmentEvent]:
        self._recent.append(probability >= self.options.start_probability)
        if sum(self._recent) * FRAME_MS < self.options.min_speech_ms:
            return
        first = len(self._recent) - list(self._recent).index(True)
        at = max(self.floor, self.position - first * FRAME_SAMPLES)
        self._start = max(self.floor, at - samples_in(self.options.pre_roll_ms))
        self._last_voiced = self.position
        self._pause = None
        yield SpeechStart(self._start, at)

    def _speaking(self, start: int, probability: float) -> Iterator[SegmentEvent]:
        if probability >= self.options.keep_probability:
            yield from self._voiced(start)
            return
        unvoiced_ms = (self.position - self._last_voiced) * 1000 // SAMPLE_RATE_HZ
        if unvoiced_ms >= self.options.endpoint_ms:
            yield self._end(self._natural_end(), "endpoint")
            return
        if self._pause is None and unvoiced_ms >= self.options.pause_ms:
            self._pause = self._natural_end()
            yield Pause(self._pause)
        if self._too_long(start):
            # no speech follows a cut in a pause: the next word starts a segment of its own
            at = self._quietest() if self._pause is None else self._pause
            yield self._cut(at) if at < self._last_voiced else self._end(at, "max_length")

    def _voiced(self, start: int) -> Iterator[SegmentEvent]:
        self._last_voiced = self.position
        pause, self._pause = self._pause, None
        if pause is not None and self._long_enough(pause - start):
            yield self._cut(pause, early=True)
            return
        if pause is not None:
            yield Resumption()
        if self._too_long(start):
            yield self._cut(self._quietest())

    def _too_long(self, start: int) -> bool:
        return self.position - start >= self.options.max_segment_s * SAMPLE_RATE_HZ

    def _long_enough(self, length: int) -> bool:
        """Whether the segment is long enough to be cut at a pause although speech goes on."""
        longest_s = self.options.max_segment_s
        shortest_s = min(self.options.economic_cut_s, longest_s)
        return length >= (longest_s + self.economy * (shortest_s - longest_s)) * SAMPLE_RATE_HZ

    def _cut(self, at: int, *, early: bool = False) -> Cut:
        self._start, self._pause, self.floor = at, None, at
        return Cut(at, early)

    def _natural_end(self) -> int:
        """Where the segment ends if no speech follows; it is fixed when the pause is told."""
        if self._pause is not None:
            return self._pause
        return min(self.position, self._last_voiced + samples_in(self.options.post_roll_ms))

    def _end(self, end: int, reason: Reason) -> SpeechEnd:
        self._start = None
        self.floor = end
        self._recent.clear()
        return SpeechEnd(end, reason)

    def _quietest(self) -> int:
        """The middle of the quietest 100 ms among the remembered frames, all of which are in the segment."""
        levels = decibels(np.fromiter(self._powers, np.float32))
        smooth = np.convolve(levels, np.ones(_SMOOTHED_FRAMES) / _SMOOTHED_FRAMES, "valid")
        # `smooth[i]` covers frames i..i+width; counted back from the newest frame
        back = len(levels) - int(np.argmin(smooth)) - _SMOOTHED_FRAMES // 2
        return self.position - back * FRAME_SAMPLES
