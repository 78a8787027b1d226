"""The seam to whatever decodes: in this process, or on another machine. `tests/contract` holds each one to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..core.commands import Configure, Start
from ..core.jobs import DecodeJob, DecodeOptions, DecodeResult
from ..errors import ClientError


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
    window_steps_s: tuple[float, ...] = ()
    """windows whose lengths lie between two of these cost alike, and belong together in a batch; rising"""
    smaller: ModelInfo | None = None
    """a smaller model beside it, which jobs may name; for partials when the engine is at its limit (see `tiers`)"""

    def knows(self, options: DecodeOptions) -> bool:
        """Whether it can decode so. Where the language is to be found, it must be able to find one."""
        told = options.language is not None or not self.only_language
        return told and self.fault(options.language, options.task) is None

    @property
    def only_language(self) -> str | None:
        """Of a model that has one alone."""
        return self.languages[0] if len(self.languages) == 1 else None

    def fault(self, language: str | None, task: str | None) -> ClientError | None:
        """Why it cannot decode so: `unsupported_language` or `unsupported_task`; None if it can."""
        if language is not None and language not in self.languages:
            return self._unknown(f"field 'language' is {language!r:.40}")
        if task == "translate" and not self.translates:
            return ClientError(
                "unsupported_task",
                f"field 'task' is 'translate', but model {self.name} only transcribes",
                "use task 'transcribe', or a server with a multilingual model such as base",
            )
        return None

    def languages_fault(self, languages: Sequence[str]) -> ClientError | None:
        """Why it cannot find the language among these: `unsupported_language`; None if it can."""
        unknown = next((language for language in languages if language not in self.languages), None)
        return None if unknown is None else self._unknown(f"field 'languages' has {unknown!r:.40}")

    def _unknown(self, what: str) -> ClientError:
        known = ", ".join(self.languages[:12]) + (", ..." if len(self.languages) > 12 else "")
        sentence = f"{what}, which model {self.name} does not know"
        return ClientError("unsupported_language", sentence, f"use one of {known}, or leave it out")

    def check(self, wanted: Start | Configure) -> None:
        """Refuse what this model cannot do. Raises ClientError(`unsupported_model`), or `fault`."""
        model = wanted.model if isinstance(wanted, Start) else None
        if model not in (None, self.name):
            raise ClientError(
                "unsupported_model",
                f"field 'model' is {model!r:.60}, which this server has not loaded",
                f"use {self.name!r}, or leave it out",
            )
        if fault := self.fault(wanted.language, wanted.task):
            raise fault
        if isinstance(wanted, Start) and (fault := self.languages_fault(wanted.languages)):
            raise fault


class DecodeBackend(Protocol):
    """Decodes batches of jobs that share a batch key (see `scheduling.batching.batch_key`)."""

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
