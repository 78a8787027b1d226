"""The options of one session: the operator's for all streams, changed by those of its client."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .commands import Configure, Preference
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
    prefer: Preference = "auto"
    """whether accuracy may be traded for speed"""
    stall_s: float = 3.0
    """if no audio comes for this long in mid-speech, the audio so far becomes final"""

    def configured(self, change: Configure) -> SessionOptions:
        """These options with the client's changes."""
        return replace(
            self,
            segmenter=self.segmenter.with_endpoint(change.endpoint_ms),
            show_partials=self.show_partials if change.partials is None else change.partials,
            prefer=change.prefer or self.prefer,
        )
