"""All that a session needs to continue in another process, as one value: frozen, versioned, JSON in one call.

It is taken where all speech so far is final (`Session.state`), and `Session.restore` continues from it. Without audio
it has about a kilobyte. With audio, the segments before the boundary are context of the next one, and the speech
detector and the resampler, whose state cannot be read, hear it first. A session restored without audio begins at the
boundary: the client sends its audio again from there (`Session.samples().received`).

It leaves out what others hold: the stream keeps the events that a client may have missed, times belong to the clock of
the machine, and economy and the pace of partials come from the load.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from ..errors import ClientError
from .audio import AudioFormat
from .context import Said
from .jobs import DecodeOptions, Pcm
from .language import LanguageState
from .ledger import LedgerState
from .level import LevelState
from .options import SessionOptions
from .resampler import Tail

VERSION = 1


@dataclass(frozen=True, slots=True)
class KeptAudio:
    """Audio at 16 kHz from sample `start` on, and the state of the resampler."""

    start: int = 0
    pcm: bytes = b""
    """int16, little endian"""
    tail: Tail = field(default_factory=Tail)

    @property
    def samples(self) -> Pcm:
        return np.frombuffer(self.pcm, "<i2").astype(np.int16)


@dataclass(frozen=True, slots=True)
class IntakeState:
    """The state of `Intake`, in silence. `received` counts the client's samples, all else counts at 16 kHz."""

    received: int
    clipped: int
    position: int
    floor: int
    recent: tuple[bool, ...]
    jitter_s: float
    gaps: int
    audio: KeptAudio
    level: LevelState = field(default_factory=LevelState)


@dataclass(frozen=True, slots=True)
class RequestsState:
    """The state of `Requests`."""

    decode: DecodeOptions
    count: int
    language: LanguageState
    said: tuple[Said, ...]
    """earlier segments with their words: context of the next ones"""


@dataclass(frozen=True, slots=True)
class SessionState:
    format: AudioFormat
    options: SessionOptions
    intake: IntakeState
    ledger: LedgerState
    requests: RequestsState
    marks: tuple[str, ...]
    """marks of `Finalize` since the last audio; a client may repeat them"""
    segments: int
    seq: int
    version: int = VERSION

    def without_audio(self) -> SessionState:
        """The same state without audio, about a kilobyte: the client sends its audio again from the boundary."""
        received, settled = self.ledger.settled_received, self.ledger.settled
        intake = replace(
            self.intake, received=received, position=settled, floor=settled, recent=(), audio=KeptAudio(start=settled)
        )
        return replace(self, intake=intake, requests=replace(self.requests, said=()))

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)


def from_json(data: bytes) -> SessionState:
    """Raises ClientError(`bad_state`) for data that is no state of this version."""
    remedy = "start a new session from the last final on"
    try:
        version = msgspec.json.decode(data, type=_Versioned).version
        if version != VERSION:
            raise ClientError("bad_state", f"the state has version {version}, not {VERSION}", remedy)
        return msgspec.json.decode(data, type=SessionState)
    except msgspec.DecodeError as fault:
        raise ClientError("bad_state", f"the state cannot be read: {fault}", remedy) from fault


class _Versioned(msgspec.Struct):
    version: int
