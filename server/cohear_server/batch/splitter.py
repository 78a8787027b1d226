"""Splits a file's samples into the windows that are decoded: where speech is, and where to cut it.

Unlike the live segmenter it looks ahead: a window ends at the longest pause between the least and the largest length
that suits the engine. Long pauses are left out of a window. So its samples are pieces of the file, each with its place.
It holds at most one window and one block of audio.

Silence is put before and after the file, because live speech has it too. Without it, the detector and the model miss
short clips that begin with their first sound and end with their last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..core.jobs import SAMPLE_RATE_HZ, Pcm
from ..core.vad import Probabilities, level
from .speech import CHUNK_SAMPLES, SpeechDetector

CHUNK_S = CHUNK_SAMPLES / SAMPLE_RATE_HZ
EDGE_SAMPLES = SAMPLE_RATE_HZ // 10
"""Speech may begin this much sooner, and end this much later, than the detector says."""
SPEECH = 0.35
"""least probability of a chunk of speech"""
GAP_CHUNKS = 6
"""No more chunks without speech than this are no pause."""


@dataclass(frozen=True, slots=True)
class SplitOptions:
    min_window_s: float = 8.0
    """no window is cut shorter, unless a long silence or the file's end cuts it"""
    max_window_s: float = 16.0
    start_probability: float = 0.5
    keep_probability: float = 0.35
    before_s: float = 0.25
    """Audio kept before speech; where the file has not begun yet, silence."""
    after_s: float = 0.35
    """Audio kept after speech, in the same way. The rest of a longer pause is left out."""
    alone_s: float = 1.0
    """Speech between two pauses that is no longer than this is a single word, such as a digit of a number."""
    after_alone_s: float = 0.8
    """Audio kept after a single word, so that digits that were said apart are not joined to one number."""
    separate_s: float = 3.0
    """a silence this long ends a window"""


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples [at, at + length) of a window are those of the file from `start` on. Those in no piece are silence."""

    at: int
    start: int
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """int16 mono 16 kHz, and where its pieces are in the file."""

    pcm: Pcm
    pieces: tuple[Piece, ...]
    speech: tuple[tuple[int, int], ...] = ()
    """where the detector heard speech: samples [begin, end) of the window; short gaps are part of it"""

    @property
    def start(self) -> int:
        """First sample in the file."""
        return self.pieces[0].start

    @property
    def end(self) -> int:
        """One past the last sample in the file."""
        return self.pieces[-1].start + self.pieces[-1].length

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """The place in the file of a word of samples [begin, end), cut to the stretch of speech that it lies in most.

        Word times from alignment often reach into the pause beside the word."""
        shares = [(min(end, last) - max(begin, first), first, last) for first, last in self.speech]
        share, first, last = max(shares, default=(0, 0, 0))
        if share > 0:
            begin, end = max(begin, first - EDGE_SAMPLES), min(end, last + EDGE_SAMPLES)
        return self.place(begin), self.place(end, end=True)

    def place(self, sample: int, *, end: bool = False) -> int:
        """Where a sample of the window is in the file; `end`: the sample is one past something's last."""
        for piece in reversed(self.pieces):
            if sample > piece.at or (sample == piece.at and not end):
                return piece.start + min(sample - piece.at, piece.length)
        return self.start


@dataclass(slots=True)
class _Kept:
    """Chunks that belong to a window or are close enough to speech to be part of one; arrays of one length."""

    pcm: NDArray[np.int16]
    """[chunks, CHUNK_SAMPLES]"""
    probability: Probabilities
    place: NDArray[np.int64]
    """number of each chunk in the file; below 0 in the silence before it"""

    def __len__(self) -> int:
        return len(self.place)

    def part(self, begin: int, end: int | None = None) -> _Kept:
        return _Kept(self.pcm[begin:end], self.probability[begin:end], self.place[begin:end])

    def plus(self, other: _Kept) -> _Kept:
        return _Kept(
            np.concatenate([self.pcm, other.pcm]),
            np.concatenate([self.probability, other.probability]),
            np.concatenate([self.place, other.place]),
        )


class Splitter:
    """Windows of one file."""

    def __init__(self, options: SplitOptions, detector: SpeechDetector) -> None:
        self.options = options
        self._detector = detector
        self._trim = _Trimmer(options)
        self._longest = int(options.max_window_s / CHUNK_S)
        self._shortest = int(options.min_window_s / CHUNK_S)
        self._separate = max(1, int((options.separate_s - options.before_s - options.after_s) / CHUNK_S))
        """chunks that were taken out"""

    def windows(self, blocks: Iterable[Pcm]) -> Iterator[Window]:
        """`blocks` are the file's samples in order, in any sizes. What `blocks` raises comes after the windows before
        it."""
        kept = _nothing()
        rest = np.zeros(self._trim.before * CHUNK_SAMPLES, np.int16)
        length = 0
        fault: Exception | None = None
        source = iter(blocks)
        while fault is None:
            try:
                block = next(source, None)
            except Exception as raised:  # noqa: BLE001 what was read before it is still heard, then it is raised
                fault = raised
                break
            if block is None:
                break
            length += len(block)
            rest = np.concatenate([rest, block])
            whole = len(rest) // CHUNK_SAMPLES * CHUNK_SAMPLES
            kept = kept.plus(self._speech(rest[:whole].reshape(-1, CHUNK_SAMPLES), last=False))
            rest = rest[whole:]
            while len(kept) and (end := self._cut(kept, last=False)):
                yield from _window(kept.part(0, end), length)
                kept = kept.part(end)
        padded = np.pad(rest, (0, -len(rest) % CHUNK_SAMPLES + self._trim.after * CHUNK_SAMPLES))
        kept = kept.plus(self._speech(padded.reshape(-1, CHUNK_SAMPLES), last=True))
        while len(kept) and (end := self._cut(kept, last=True)):
            yield from _window(kept.part(0, end), length)
            kept = kept.part(end)
        if fault is not None:
            raise fault

    def _speech(self, chunks: NDArray[np.int16], *, last: bool) -> _Kept:
        return self._trim.push(chunks, self._detector.push(chunks), last=last)

    def _cut(self, kept: _Kept, *, last: bool) -> int:
        """How many chunks the next window has; 0 if that cannot be told yet."""
        gaps = np.flatnonzero(np.diff(kept.place[: self._longest + 1]) > self._separate)
        if len(gaps):
            return int(gaps[0]) + 1
        if len(kept) > self._longest:
            return self._shortest + _quietest(kept.part(self._shortest, self._longest + 1))
        return len(kept) if last else 0


class _Trimmer:
    """Leaves out what is too far from speech. Holds chunks back until it knows whether speech follows them."""

    def __init__(self, options: SplitOptions) -> None:
        self._options = options
        self.before = round(options.before_s / CHUNK_S)
        self.after = round(options.after_s / CHUNK_S)
        self._held = _nothing()
        self._speaking = False
        self._alone = round(options.alone_s / CHUNK_S)
        self._after_alone = max(round(options.after_alone_s / CHUNK_S), self.after)
        self._run = 0
        """chunks from the beginning of the newest speech to its end, short gaps included"""
        self._place = -self.before
        self._kept_to = self._place
        """one past what is kept behind the newest speech"""
        self._voiced_to = self._place - self.after
        """one past that speech"""

    def push(self, chunks: NDArray[np.int16], probability: Probabilities, *, last: bool) -> _Kept:
        """The next chunks, in order -> those that are settled to be kept."""
        places = np.arange(self._place, self._place + len(chunks))
        self._place += len(chunks)
        voiced = self._voiced(probability)
        fresh = self._held.plus(_Kept(chunks, probability, places))
        first = self._place - len(fresh)
        near = np.zeros(len(fresh), bool)
        # what is kept behind the speech of the push before may reach into this one
        near[len(self._held) : max(self._kept_to - first, len(self._held))] = True
        for place in places[voiced].tolist():
            gap = place - self._voiced_to
            self._run = 1 if gap >= self.after else self._run + gap + 1
            self._voiced_to = place + 1
            self._kept_to = max(self._kept_to, place + 1 + self._reach())
            near[max(0, place - first - self.before) : self._kept_to - first] = True
        # held chunks are those within `before` of the end that no speech is near yet
        settled = len(fresh) if last else max(len(fresh) - self.before, 0)
        settled = max(settled, int(np.flatnonzero(near)[-1]) + 1 if near.any() else 0)
        self._held = fresh.part(settled)
        keep = np.flatnonzero(near[:settled])
        return _Kept(fresh.pcm[keep], fresh.probability[keep], fresh.place[keep])

    def _reach(self) -> int:
        """Chunks that are kept behind the newest speech."""
        return self._after_alone if self._run <= self._alone else self.after

    def _voiced(self, probability: Probabilities) -> NDArray[np.bool_]:
        out = np.zeros(len(probability), bool)
        for i, p in enumerate(probability.tolist()):
            least = self._options.keep_probability if self._speaking else self._options.start_probability
            self._speaking = p >= least
            out[i] = self._speaking
        return out


def _nothing() -> _Kept:
    return _Kept(np.zeros((0, CHUNK_SAMPLES), np.int16), np.zeros(0, np.float32), np.zeros(0, np.int64))


def _quietest(kept: _Kept) -> int:
    """The best chunk to cut before: in the middle of the longest pause, else at the quietest point.

    A pause that was taken out counts with its whole length."""
    quiet = kept.probability < 0.5
    best, best_at = 0, -1
    begin = None
    for i, (is_quiet, place) in enumerate(zip(quiet.tolist(), kept.place.tolist(), strict=True)):
        if not is_quiet:
            begin = None
            continue
        if begin is None:
            begin = i
        length = place - int(kept.place[begin])
        if length > best:
            jump = np.diff(kept.place[begin : i + 1])
            widest = int(np.argmax(jump))
            best, best_at = length, begin + widest + 1 if jump[widest] > 1 else (begin + i + 1) // 2
    if best_at > 0:
        return best_at
    smooth = np.convolve(level(kept.pcm), np.ones(3) / 3, "same")
    return max(1, int(np.argmin(smooth[1:-1])) + 1)


def _window(kept: _Kept, length: int) -> Iterator[Window]:
    """The window, or nothing where all of it is silence around the file. `length`: samples of the file so far."""
    jumps = [0, *(np.flatnonzero(np.diff(kept.place) != 1) + 1).tolist(), len(kept)]
    pieces = tuple(
        piece
        for a, b in pairwise(jumps)
        if (piece := _inside(a * CHUNK_SAMPLES, int(kept.place[a]) * CHUNK_SAMPLES, (b - a) * CHUNK_SAMPLES, length))
    )
    if pieces:
        # a copy: a view would keep everything that was read together with the window
        yield Window(kept.pcm.reshape(-1).copy(), pieces, _speech(kept))


def _speech(kept: _Kept) -> tuple[tuple[int, int], ...]:
    voiced = np.flatnonzero(kept.probability >= SPEECH)
    if not len(voiced):
        return ()
    apart = np.flatnonzero((np.diff(voiced) > GAP_CHUNKS) | (np.diff(kept.place[voiced]) > GAP_CHUNKS))
    firsts, lasts = voiced[np.r_[0, apart + 1]], voiced[np.r_[apart, -1]]
    return tuple(zip((firsts * CHUNK_SAMPLES).tolist(), ((lasts + 1) * CHUNK_SAMPLES).tolist(), strict=True))


def _inside(at: int, start: int, samples: int, length: int) -> Piece | None:
    """What of a piece is in the file, and not in the silence before or after it."""
    begin, end = max(start, 0), min(start + samples, length)
    return Piece(at + begin - start, begin, end - begin) if end > begin else None
