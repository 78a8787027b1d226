"""Makes the sessions of a service: the server's settings, narrowed to what a client asked for. It keeps none."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

from ..config import ServerConfig
from ..core.commands import Start
from ..core.jobs import DecodeOptions
from ..core.options import SessionOptions
from ..core.segment import PartialOptions
from ..core.segmenter import SegmenterOptions
from ..core.session import Session
from ..core.vad import SileroNetwork, VadName
from ..engine.backend import ModelInfo
from ..models.silero import load_silero
from .caller import Caller


class Sessions:
    def __init__(self, config: ServerConfig) -> None:
        segmenter = SegmenterOptions(endpoint_ms=config.endpoint_ms, max_segment_s=config.max_segment_s)
        partials = PartialOptions(interval_ms=config.partial_interval_ms)
        self._options = SessionOptions(segmenter, partials, vad=config.vad)
        self._network: SileroNetwork | None = None

    async def load(self) -> None:
        """What the speech detectors need, before the first session. Raises ServerError(`no_vad`)."""
        self._network = await load_network(self._options.vad)

    def make(self, start: Start, caller: Caller, model: ModelInfo) -> Session:
        """Raises ClientError for what the model cannot do."""
        model.check(start)
        decoding = DecodeOptions(
            model=model.name,
            language=start.language or model.only_language,
            languages=start.languages,
            task=start.task,
            word_times=start.words,
            prompt=start.prompt or "",
            hotwords=start.hotwords or "",
        )
        options = replace(
            self._options,
            segmenter=self._options.segmenter.with_endpoint(start.endpoint_ms),
            tenant=caller.tenant,
            show_partials=start.partials,
            prefer=start.prefer,
        )
        return Session(secrets.token_hex(8), start.format, decoding, options, self._network)


async def load_network(vad: VadName) -> SileroNetwork | None:
    """What detectors of this kind need; None if nothing. Raises ServerError(`no_vad`)."""
    return await asyncio.to_thread(load_silero) if vad in ("cascade", "silero") else None
