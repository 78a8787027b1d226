"""What a run over files is told: how to hear, how to split."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Literal

from cohear_client.files import ALL, Choice
from cohear_client.messages import check_text

from ..core.jobs import DecodeOptions, Fallback
from ..engine.cache import key_of
from .speech import DetectorName
from .splitter import SplitOptions

CACHE_VERSION = "5"
"""of transcripts of files; raised when the same options give other text"""


@dataclass(frozen=True, slots=True)
class HearingOptions:
    """All that decides the text, except the model. Raises ClientError(`bad_field`) for text that no prompt may have."""

    language: str | None = None
    """None: found for each file, from its first windows"""
    languages: tuple[str, ...] = ()
    """The languages to choose from, where the language is found; the first one where none of them is heard."""
    task: Literal["transcribe", "translate"] = "transcribe"
    prompt: str = ""
    hotwords: str = ""
    beam_size: int = 1
    word_times: bool = False
    temperature: float = 0.0
    fallback: Fallback = field(default_factory=Fallback)
    choice: Choice = ALL
    """the track and the channels of each file that are transcribed"""
    vad: DetectorName = "silero"
    split: SplitOptions = field(default_factory=SplitOptions)

    def __post_init__(self) -> None:
        check_text("prompt", self.prompt)
        check_text("hotwords", self.hotwords)

    def decode_options(self, model: str, language: str | None) -> DecodeOptions:
        return DecodeOptions(
            model=model,
            language=language,
            languages=() if language else self.languages,
            task=self.task,
            beam_size=self.beam_size,
            word_times=self.word_times,
            prompt=self.prompt.strip(),
            hotwords=self.hotwords.strip(),
            temperature=self.temperature,
            fallback=self.fallback,
        )

    def fingerprint(self, identity: str) -> str:
        """Equal where the same audio gives the same text, by the model of that identity."""
        return key_of(CACHE_VERSION, identity, json.dumps(asdict(self), sort_keys=True))
