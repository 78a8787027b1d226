"""What a session gives back from each call: messages for its client, jobs for the engine, jobs it no longer needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from cohear_client import protocol

from .jobs import DecodeJob


@dataclass(frozen=True, slots=True)
class Emission:
    """A message for the client. `job_id` names the decoding behind it; its latency counts from `origin_s`."""

    message: protocol.ServerMessage
    job_id: str | None = None
    origin_s: float = 0.0


@dataclass(slots=True)
class Output:
    """What one call brought about, in order."""

    emissions: list[Emission] = field(default_factory=list)
    jobs: list[DecodeJob] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    """ids of jobs whose result is no longer needed; a result that comes all the same does no harm"""
