"""All that a session needs to go on elsewhere, as one value: frozen, versioned, and JSON in one call.

It is taken where everything said before is final (`Session.state`), and `Session.restore` goes on from it. Without
its audio it has about a kilobyte; with it the segments before the boundary help the next one as context, and the
speech detector and the resampler, whose own state cannot be read, hear it first. A session restored without audio
begins at the boundary: the client sends its audio again from there (`Session.samples().received`).

What is not in it belongs to others: the events that a client may have missed to its stream, times to the clock of the
machine, economy and the pace of partials to whoever governs the load.
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
from .options import SessionOptions
from .resampler import Tail

VERSION = 1


@dataclass(frozen=True, slots=True)
class KeptAudio:
    """Audio at 16 kHz from sample `start` on, and what the resampler holds."""

    start: int = 0
    pcm: bytes = b""
    """int16, little endian"""
    tail: Tail = field(default_factory=Tail)

    @property
    def samples(self) -> Pcm:
        return np.frombuffer(self.pcm, "<i2").astype(np.int16)


@dataclass(frozen=True, slots=True)
class IntakeState:
    """Of `Intake`, in silence. `received` counts in the client's samples, all else at 16 kHz."""

    received: int
    clipped: int
    position: int
    floor: int
    recent: tuple[bool, ...]
    jitter_s: float
    gaps: int
    audio: KeptAudio


@dataclass(frozen=True, slots=True)
class RequestsState:
    """Of `Requests`."""

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
    """of `Finalize`, since the last audio: one that is said again is the same"""
    segments: int
    seq: int
    version: int = VERSION

    def without_audio(self) -> SessionState:
        """The same, small: it goes on from what is settled, and needs the client's audio from there."""
        received, settled = self.ledger.settled_received, self.ledger.settled
        intake = replace(
            self.intake, received=received, position=settled, floor=settled, recent=(), audio=KeptAudio(start=settled)
        )
        return replace(self, intake=intake, requests=replace(self.requests, said=()))

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)


def from_json(data: bytes) -> SessionState:
    """Raises ClientError(`bad_state`) for what no session of this version gave."""
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
