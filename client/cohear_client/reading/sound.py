"""What readers of files hand on: samples, and what is missing among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Wave: TypeAlias = NDArray[np.float32]
"""[n, channels], full scale at 1; [n] once it is mixed."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Audio that must be there and cannot be read; silence stands in its place."""

    start_s: float
    length_s: float


class Reading(Protocol):
    """An open file, whatever reads it."""

    rate_hz: int
    channels: int
    damage: list[Damage]
    """so far"""
    cut_s: float
    """missing at the end, once it is read"""

    @property
    def duration_s(self) -> float | None:
        """What the header says or guesses."""
        ...

    @property
    def read_s(self) -> float: ...

    @property
    def roles(self) -> tuple[str, ...]:
        """What the channels are, as FFmpeg names them; nothing where that is not known."""
        ...

    def blocks(self) -> Iterator[Wave]:
        """In order, at one rate. The number of channels may change. Raises nothing: see `damage` and `cut_s`."""
        ...

    def close(self) -> None: ...
