"""Events of a run over files, in this process or on a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from .errors import CohearError
from .transcript import Transcript


@dataclass(frozen=True, slots=True)
class Started:
    """A file is being read. Its length is what its header says, if that does."""

    path: Path
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class Advanced:
    """So many more seconds of a file are settled."""

    path: Path
    audio_s: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a file; both a transcript and a fault if the file is damaged inside."""

    path: Path
    transcript: Transcript | None
    fault: CohearError | None
    audio_s: float
    cached: bool = False
    """known from an earlier run"""


Event: TypeAlias = Started | Advanced | Finished
