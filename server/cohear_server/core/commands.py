"""The commands of a session, in the core's own terms: no wire, no sockets.

A wire translates the messages of its protocol into these. `Start` opens a stream, `Claim` asks for one that lost its
connection, and `Command` is everything that may come in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .audio import AudioFormat
from .jobs import Task

Preference = Literal["auto", "accuracy", "speed"]
"""Whether a busy server may trade accuracy for speed: `auto`, by its load; `accuracy`, never; `speed`, always."""


@dataclass(frozen=True, slots=True)
class Start:
    """The options of a new stream. None means the server's default."""

    format: AudioFormat = field(default_factory=AudioFormat)
    language: str | None = None
    """ISO 639-1; None: found by the model"""
    task: Task = "transcribe"
    model: str | None = None
    partials: bool = True
    words: bool = True
    """the words of each text, with their times"""
    endpoint_ms: int | None = None
    prompt: str | None = None
    hotwords: str | None = None
    languages: tuple[str, ...] = ()
    """where the language is found: among these; none leaves it open"""
    prefer: Preference = "auto"


@dataclass(frozen=True, slots=True)
class Claim:
    """A client that lost its connection asks for its stream: which one, the proof, and which events it has."""

    session_id: str
    token: str
    last_seq: int = 0
    """`seq` of the last partial or final that came"""
    lasting: int | None = None
    """how many lasting events (`live.log`) came; None from a client that does not count them"""


@dataclass(frozen=True, slots=True)
class Audio:
    """The next audio, in the stream's format: a whole number of samples."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Configure:
    """Changes options from now on, also for the open segment. None leaves an option as it is."""

    language: str | None = None
    task: Task | None = None
    partials: bool | None = None
    words: bool | None = None
    endpoint_ms: int | None = None
    prompt: str | None = None
    hotwords: str | None = None
    prefer: Preference | None = None
    format: AudioFormat | None = None
    """what the audio is, for a client that tells it after the start; only before the first audio"""


@dataclass(frozen=True, slots=True)
class Finalize:
    """Make all audio so far final; `Finalized` with the same mark follows the last of it."""

    mark: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """No more audio. `Done` follows the last final; a second one changes nothing."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: statistics may be due, or the end of a segment whose audio stopped coming."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The client is back, and sends its audio again from the first sample that was not received."""


Command = Audio | Configure | Finalize | Stop | Tick | Resume
