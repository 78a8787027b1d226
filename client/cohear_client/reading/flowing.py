"""Reads a recording that is still being made, without delay: mono samples, packet by packet.

Unlike `recording` it holds nothing back, and reads only one link, from front to back. Where packets are missing or
cannot be decoded, there is silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
import numpy as np

from ..errors import ClientError
from .mixing import Mixer
from .sound import Wave
from .track import Lost, Sound, Track

LONGEST_PAUSE_S = 60.0
"""A longer pause is taken for a new clock, not for silence."""
SILENCE_S = 1.0
"""Most silence in one piece."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Mono samples [n]; the rate may change on the way."""

    wave: Wave
    rate_hz: int


def flowing(pipe: BinaryIO, name: str) -> Iterator[Piece]:
    """All that can be decoded. `pipe.read(n)` gives what is there, at most n bytes, and waits for the first of them;
    none is the end. Raises ClientError(`bad_audio`) for what cannot be read so."""
    try:
        track = Track(pipe, name, flowing=True)
    except (av.FFmpegError, ValueError, EOFError) as fault:
        raise _bad(name) from fault
    try:
        mono = _Mono(track.roles())
        heard_s, sounds = 0.0, 0
        for sound in track.sounds():
            rate_hz = sound.rate_hz if isinstance(sound, Sound) else track.rate_hz
            for piece in _silence(_missing_s(sound, heard_s, track.jitter_s), rate_hz):
                heard_s += len(piece.wave) / rate_hz
                yield piece
            if isinstance(sound, Sound):
                sounds += 1
                heard_s += len(sound.samples) / rate_hz
                yield Piece(mono.of(sound), rate_hz)
        if not sounds:
            raise _bad(name)
    finally:
        track.close()


class _Mono:
    def __init__(self, roles: tuple[str, ...]) -> None:
        self._roles = roles
        self._mixer: Mixer | None = None
        self._shape = (0, 0)

    def of(self, sound: Sound) -> Wave:
        wave = np.nan_to_num(sound.samples, copy=False, posinf=1.0, neginf=-1.0)
        shape = (wave.shape[1], sound.rate_hz)
        if self._mixer is None or shape != self._shape:
            self._shape, self._mixer = shape, Mixer(*shape, self._roles)
        return self._mixer.push(wave)


def _missing_s(sound: Sound | Lost, heard_s: float, jitter_s: float) -> float:
    if isinstance(sound, Lost):
        return sound.length_s
    pause_s = 0.0 if sound.at_s is None else sound.at_s - heard_s
    return pause_s if jitter_s < pause_s <= LONGEST_PAUSE_S else 0.0


def _silence(length_s: float, rate_hz: int) -> Iterator[Piece]:
    left, most = round(length_s * rate_hz), round(SILENCE_S * rate_hz)
    while left > 0:
        yield Piece(np.zeros(min(left, most), np.float32), rate_hz)
        left -= most


def _bad(name: str) -> ClientError:
    remedy = "send a container that can be read from front to back, as WebM, Ogg or WAV, or samples with their encoding"
    return ClientError("bad_audio", f"{name} is in no audio format that can be read here", remedy)
