"""Endless speakers for a load: recorded clips one after another, with the pauses of a conversation or without.

What a speaker says depends only on the seed, never on the server.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measures import Span
from numpy.typing import NDArray
from speech import SAMPLE_RATE_HZ, choose, read_clips

LEVEL_FRAME = SAMPLE_RATE_HZ // 50
VOICED_SHARE = 0.08
"""frames above this share of the level of a loud frame are sound (-22 dB)"""
JOINED_S = 0.2
"""shorter gaps do not end a spurt: the server needs as long to see a pause"""
CLICK_S = 0.15
"""shorter spurts are breaths and clicks"""
ROOM_NOISE = 10.0
"""standard deviation of the noise between clips (-70 dB): a real line is never all zeros"""


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """A clip, ready to be said."""

    pcm: NDArray[np.int16]
    reference: str
    lang: str
    spurts: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE_HZ


def read_spoken(folder: Path, count: int, lang: str, at_least_s: float = 4.0) -> list[Spoken]:
    """`count` clips with words in `lang`, spread over corpora and speakers."""
    clips = [c for c in read_clips(folder) if c.reference and c.lang == lang and at_least_s <= c.seconds <= 30]
    if not clips:
        raise SystemExit(f"{folder} has no clip in {lang!r} of {at_least_s:g} to 30 s with words")
    read = [(clip, clip.pcm()) for clip in choose(clips, count)]
    return [Spoken(pcm, clip.reference, clip.lang, tuple(find_spurts(pcm))) for clip, pcm in read]


def find_spurts(pcm: NDArray[np.int16]) -> list[Span]:
    """Stretches of sound, in seconds, found by level: gaps up to `JOINED_S` belong to them, clicks are left out."""
    frames = len(pcm) // LEVEL_FRAME
    if not frames:
        return []
    blocks = pcm[: frames * LEVEL_FRAME].reshape(frames, LEVEL_FRAME).astype(np.float32)
    level = np.sqrt(np.square(blocks).mean(axis=1))
    spurts: list[Span] = []
    for frame in np.flatnonzero(level > VOICED_SHARE * np.percentile(level, 95)).tolist():
        start, end = frame * LEVEL_FRAME / SAMPLE_RATE_HZ, (frame + 1) * LEVEL_FRAME / SAMPLE_RATE_HZ
        if spurts and start - spurts[-1][1] <= JOINED_S:
            spurts[-1] = (spurts[-1][0], end)
        else:
            spurts.append((start, end))
    return [(start, end) for start, end in spurts if end - start >= CLICK_S]


class Voice:
    """One speaker. `share` is the share of the time in which clips play, the rest is silence; None: no pauses."""

    def __init__(self, clips: Sequence[Spoken], share: float | None, seed: int) -> None:
        self._random = random.Random(seed)
        self._noise = np.random.default_rng(seed)
        self._clips = list(clips)
        self._random.shuffle(self._clips)
        self._share = share
        self._next = 0
        self._waiting = np.zeros(0, np.int16)
        self._made = 0
        self.said: list[tuple[Spoken, float]] = []
        """clips and the times at which they end"""
        self.spurts: list[Span] = []
        if share is not None:
            self._append(self._silence(self._gap_s(self._clips[0].seconds) * self._random.random()))

    def read(self, samples: int) -> bytes:
        """The next samples, PCM16."""
        while len(self._waiting) < samples:
            self._say(self._clips[self._next % len(self._clips)])
            self._next += 1
        taken, self._waiting = self._waiting[:samples], self._waiting[samples:]
        return taken.tobytes()

    def _say(self, clip: Spoken) -> None:
        start_s = self._made / SAMPLE_RATE_HZ
        self.spurts += [(start_s + start, start_s + end) for start, end in clip.spurts]
        self._append(clip.pcm)
        self.said.append((clip, self._made / SAMPLE_RATE_HZ))
        if self._share is not None:
            self._append(self._silence(self._gap_s(clip.seconds)))

    def _gap_s(self, seconds: float) -> float:
        assert self._share is not None
        return seconds * (1 / self._share - 1) * self._random.uniform(0.5, 1.5)

    def _silence(self, seconds: float) -> NDArray[np.int16]:
        return self._noise.normal(0, ROOM_NOISE, round(seconds * SAMPLE_RATE_HZ)).astype(np.int16)

    def _append(self, pcm: NDArray[np.int16]) -> None:
        self._waiting = np.concatenate([self._waiting, pcm])
        self._made += len(pcm)
