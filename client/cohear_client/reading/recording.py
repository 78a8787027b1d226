"""A whole file on one time line: its links one after the other, silence where packets are missing, and one rate.

It keeps a list of what could not be read, and puts silence there, so that everything after it keeps its time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import av
import numpy as np

from ..errors import ClientError
from .links import find_links, open_link
from .sound import Damage, Wave
from .track import Lost, Sound, Track

SLACK_S = 0.25
"""Delay and padding of an encoder, up to two packets: declared lengths differ by this much from what is heard."""
LEAP_S = 10.0
"""A leap in time beyond this is a new clock: backwards always, forwards where broadcasts are joined."""
LONGEST_PAUSE_S = 86_400.0
SILENCE_S = 4.0
"""at most in one block"""
DAMAGES = 1000
"""Most places that are kept; of more only the length is counted."""


class Recording:
    """A `Reading` by PyAV. `rate_hz` and `channels` are those of its beginning; other rates are converted."""

    def __init__(self, file: BinaryIO, name: str, wanted: str = "", *, seekable: bool = True) -> None:
        """`file` is closed with this. Raises ClientError (`no_audio`, `bad_track`); what PyAV raises, or
        ValueError, where the file cannot be decoded."""
        self._file = file
        self._name = name
        self._wanted = wanted
        self._links = find_links(file) if seekable else []
        self._track = Track(open_link(file, self._links[0]) if seekable else file, name, wanted)
        self.rate_hz = self._track.rate_hz
        self.channels = self._track.channels
        self.damage: list[Damage] = []
        self.cut_s = 0.0
        """missing at the end"""
        self._samples = 0
        self._held: deque[Wave] = deque()
        """the last `SLACK_S`"""

    @property
    def duration_s(self) -> float | None:
        """What the header says or guesses; None for several links."""
        return self._track.duration_s if len(self._links) <= 1 else None

    @property
    def read_s(self) -> float:
        return self._samples / self.rate_hz

    def close(self) -> None:
        self._track.close()
        self._file.close()

    @property
    def roles(self) -> tuple[str, ...]:
        return self._track.roles()

    def blocks(self) -> Iterator[Wave]:
        """float32 [n, channels] in order; the number of channels may change."""
        yield from self._one(self._track)
        for link in self._links[1:]:
            self._track.close()
            try:
                self._track = Track(open_link(self._file, link), self._name, self._wanted)
            except (av.FFmpegError, ClientError, OSError, ValueError):
                # it only looked like one more recording: there is no sound to lose
                continue
            yield from self._one(self._track)

    def _one(self, track: Track) -> Iterator[Wave]:
        begin_s = origin_s = self.read_s
        converter = _Converter(self.rate_hz)
        lost_s = 0.0
        for sound in track.sounds():
            if isinstance(sound, Lost):
                lost_s += sound.length_s
                continue
            pause_s = lost_s if sound.at_s is None else origin_s + sound.at_s - self.read_s
            if pause_s < -LEAP_S or pause_s > (LEAP_S if track.leaps else LONGEST_PAUSE_S):  # another clock
                origin_s -= pause_s
                pause_s = 0.0
            self._note(lost_s)
            lost_s = 0.0
            if pause_s > track.jitter_s:
                yield from self._counted(converter.end())
                yield from self._silence(pause_s)
            yield from self._counted(converter.push(sound))
        yield from self._counted(converter.end())
        yield from self._without_padding(track.padded_end_s(), begin_s)
        end_s = track.end_s()
        # without a length, what a recorder left half written when it was stopped is no damage
        missing_s = track.missing_s + (lost_s if end_s is None else begin_s + end_s - self.read_s)
        self.cut_s += missing_s if missing_s > SLACK_S else 0.0

    def _note(self, lost_s: float) -> None:
        if lost_s and len(self.damage) < DAMAGES:
            self.damage.append(Damage(self.read_s, lost_s))

    def _counted(self, blocks: Iterable[Wave]) -> Iterator[Wave]:
        for block in blocks:
            self._samples += len(block)
            self._held.append(block)
            while sum(map(len, self._held)) - len(self._held[0]) > SLACK_S * self.rate_hz:
                yield self._held.popleft()

    def _without_padding(self, end_s: float | None, begin_s: float) -> Iterator[Wave]:
        """The end of a link, which was held back."""
        over = 0 if end_s is None else round((self.read_s - begin_s - end_s) * self.rate_hz)
        if over > SLACK_S * self.rate_hz:  # that much is no padding
            over = 0
        self._samples -= max(over, 0)
        while over > 0 and self._held:
            last = self._held.pop()
            self._held.extend([last[:-over]] if over < len(last) else [])
            over -= len(last)
        yield from self._held
        self._held.clear()

    def _silence(self, length_s: float) -> Iterator[Wave]:
        left, most = round(length_s * self.rate_hz), round(SILENCE_S * self.rate_hz)
        while left > 0:
            yield from self._counted([np.zeros((min(left, most), 1), np.float32)])
            left -= most


class _Converter:
    """Converts to one rate; sound of that rate passes unchanged."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._form = (rate_hz, 0)
        self._resampler: Any = None

    def push(self, sound: Sound) -> Iterator[Wave]:
        form = (sound.rate_hz, sound.samples.shape[1])
        if self._resampler is not None and form != self._form:
            yield from self.end()
        if sound.rate_hz == self._rate_hz:
            yield sound.samples
            return
        layout = f"{form[1]}c" if form[1] > 2 else ("mono", "stereo")[form[1] - 1]
        if self._resampler is None:
            self._form = form
            self._resampler = av.AudioResampler("fltp", layout, self._rate_hz)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.samples.T), "fltp", layout)
        frame.sample_rate = sound.rate_hz
        yield from _waves(self._resampler.resample(frame))

    def end(self) -> Iterator[Wave]:
        """What it still holds."""
        if self._resampler is not None:
            yield from _waves(self._resampler.resample(None))
            self._resampler = None


def _waves(frames: Iterable[Any]) -> Iterator[Wave]:
    for frame in frames:
        yield np.asarray(frame.to_ndarray(), np.float32).T
