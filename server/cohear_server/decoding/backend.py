"""The seam to whatever decodes: in this process, or on another machine. `tests/contract` holds each one to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..core.jobs import DecodeJob, DecodeResult


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a session may ask of the loaded model, and what the banner says of it."""

    name: str
    device: str
    compute_type: str
    languages: tuple[str, ...]
    """ISO 639-1 codes it can hear"""
    translates: bool
    short_windows: bool
    """a profile allows short windows with tail states; else every window is padded to 30 s"""


class DecodeBackend(Protocol):
    """Decodes batches of jobs that share a batch key (see `scheduling.scheduler.batch_key`)."""

    @property
    def slots(self) -> int:
        """How many batches it works on at the same time."""
        ...

    @property
    def model(self) -> ModelInfo:
        """Known once `start` has returned."""
        ...

    async def start(self) -> None:
        """Load and warm up; decoding is at full speed when this returns.

        Raises ClientError for a model that cannot be had, BackendUnavailable for anything else."""
        ...

    async def decode(self, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        """One result a job, in the same order. A job that fails has `error` set and never harms its
        neighbours. Raises only BackendUnavailable."""
        ...

    async def aclose(self) -> None:
        """Finish what was posted and free the model."""
        ...
