"""How one stream is cut and shown: what the operator decides for all, narrowed by what its client wants."""

from __future__ import annotations

from dataclasses import dataclass, field

from .context import ContextOptions
from .segment import PartialOptions
from .segmenter import SegmenterOptions
from .vad import VadName


@dataclass(frozen=True, slots=True)
class SessionOptions:
    segmenter: SegmenterOptions = field(default_factory=SegmenterOptions)
    partials: PartialOptions = field(default_factory=PartialOptions)
    context: ContextOptions = field(default_factory=ContextOptions)
    vad: VadName = "cascade"
    tenant: str = "default"
    show_partials: bool = True
    stall_s: float = 3.0
    """if no audio comes for this long in mid-speech, what is there becomes final"""
