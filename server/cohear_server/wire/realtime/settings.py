"""The effective settings of a Realtime session: what its client asked for, as far as this server has it.

What is not known is not refused, because clients end at any error: a language that the model does not know is left to
the model, and a model's name is accepted for the one that is loaded. The answer (`told`) says what holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from cohear_client.messages import check_text
from cohear_client.protocol import (
    MAX_ENDPOINT_MS,
    MAX_NAME_CHARS,
    MAX_PROMPT_CHARS,
    MAX_RATE_HZ,
    MIN_ENDPOINT_MS,
    MIN_RATE_HZ,
)
from msgspec import UNSET, UnsetType

from ...core.audio import AudioFormat, Encoding
from ...core.commands import Configure, Start
from ...engine.backend import ModelInfo
from ...errors import ClientError
from .requests import Format, Session, Transcription, TurnDetection

RATE_HZ = 24_000
PCM = AudioFormat(RATE_HZ)
"""unless a client says otherwise"""
LOGPROBS = "item.input_audio_transcription.logprobs"
DELAYS = frozenset({"minimal", "low", "medium", "high", "xhigh"})
EARLY_DELAYS = frozenset({"minimal", "low"})
MAX_KEYWORDS = 100
LIVE_MODELS = frozenset({"gpt-realtime-whisper", "gpt-live-transcribe"})
"""whose clients expect text while somebody speaks, and end turns themselves unless they say otherwise"""
EAGERNESS = frozenset({"low", "medium", "high", "auto"})
EAGER_MS = {"low": 1_500, "high": 300}
"""silence that ends a turn by `eagerness`; otherwise the server's own"""

_TYPES: dict[str, Encoding] = {"audio/pcmu": "mulaw", "audio/pcma": "alaw", "g711_ulaw": "mulaw", "g711_alaw": "alaw"}
_NAMES = {
    "pcm_s16le": ("audio/pcm", "pcm16"),
    "mulaw": ("audio/pcmu", "g711_ulaw"),
    "alaw": ("audio/pcma", "g711_alaw"),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What this server has, whatever the client asks for."""

    model: ModelInfo
    endpoint_ms: int
    max_segment_s: float

    def knows(self, language: str) -> bool:
        return self.model.fault(language, None) is None

    def silence_ms(self, wanted_ms: float) -> int:
        """The nearest that can be had."""
        return round(min(max(wanted_ms, MIN_ENDPOINT_MS), MAX_ENDPOINT_MS, 1_000 * self.max_segment_s))


@dataclass(frozen=True, slots=True)
class Turns:
    """The server ends turns, at this much silence."""

    kind: Literal["server_vad", "semantic_vad"]
    silence_ms: int
    eagerness: str = "auto"

    def told(self) -> dict[str, Any]:
        if self.kind == "semantic_vad":
            return {"type": self.kind, "eagerness": self.eagerness}
        return {
            "type": self.kind,
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": self.silence_ms,
        }


@dataclass(frozen=True, slots=True)
class Settings:
    offer: Offer
    format: AudioFormat = PCM
    language: str | None = None
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    delay: str | None = None
    early: bool = False
    """text is told while somebody speaks, and may differ from the text at the end"""
    turns: Turns | None = None
    """None: the client ends them, by commits"""
    turns_named: bool = False
    """the client itself said who ends them"""
    logprobs: bool = False

    @classmethod
    def usual(cls, offer: Offer) -> Settings:
        """Of a client that asks for nothing."""
        return cls(offer, language=offer.model.only_language, turns=Turns("server_vad", offer.endpoint_ms))

    def updated(self, session: Session) -> Settings:
        """Raises ClientError for audio that cannot be heard, and text that no model may see."""
        told, new = session.input, self
        if isinstance(told.format, Format):
            new = replace(new, format=audio_format(told.format))
        if isinstance(told.transcription, Transcription):
            new = new._transcribing(told.transcription)
        if not isinstance(told.turn_detection, UnsetType):
            new = replace(new, turns=self._turns(told.turn_detection), turns_named=True)
        if session.include is not UNSET:
            new = replace(new, logprobs=LOGPROBS in (session.include or ()))
        return new

    def _transcribing(self, wanted: Transcription) -> Settings:
        new = self
        if wanted.prompt is not UNSET:
            # the model hears the end of a prompt that is too long
            new = replace(new, prompt=(wanted.prompt or "")[-MAX_PROMPT_CHARS:])
        if wanted.keywords is not UNSET:
            words = (wanted.keywords or ())[:MAX_KEYWORDS]
            new = replace(new, keywords=tuple(word[:MAX_NAME_CHARS] for word in words))
        check_text("transcription.prompt", new.hint)
        if wanted.delay is not UNSET:
            delay = wanted.delay if wanted.delay in DELAYS else None
            new = replace(new, delay=delay, early=delay in EARLY_DELAYS)
        if wanted.model in LIVE_MODELS:
            turns = self.turns if self.turns_named else None
            new = replace(new, early=new.early or new.delay is None, turns=turns)
        several = wanted.languages or ()
        language = wanted.language or (several[0] if len(several) == 1 else None)
        if language and self.offer.knows(code := language.lower().replace("_", "-").partition("-")[0]):
            new = replace(new, language=code)
        return new

    def _turns(self, wanted: TurnDetection | None) -> Turns | None:
        if wanted is None or wanted.type == "none":
            return None
        if wanted.type == "semantic_vad":
            eagerness = wanted.eagerness if wanted.eagerness in EAGERNESS else "auto"
            eager_ms = EAGER_MS.get(eagerness, self.offer.endpoint_ms)
            return Turns("semantic_vad", self.offer.silence_ms(eager_ms), eagerness)
        silence_ms = wanted.silence_duration_ms
        return Turns("server_vad", self.offer.silence_ms(self.offer.endpoint_ms if silence_ms is None else silence_ms))

    @property
    def hint(self) -> str:
        """The prompt and the keywords, for the model."""
        return " ".join(filter(None, (self.prompt, ", ".join(self.keywords))))[-MAX_PROMPT_CHARS:]

    @property
    def endpoint_ms(self) -> int:
        return self.turns.silence_ms if self.turns else self.offer.endpoint_ms

    def start(self) -> Start:
        return Start(self.format, language=self.language, endpoint_ms=self.endpoint_ms, prompt=self.hint)

    def configure(self) -> Configure:
        return Configure(language=self.language, endpoint_ms=self.endpoint_ms, prompt=self.hint, format=self.format)

    def told(self, session_id: str, *, beta: bool = False) -> dict[str, Any]:
        """The session as its client sees it."""
        transcription: dict[str, Any] = {
            "model": self.offer.model.name,
            "language": self.language,
            "prompt": self.prompt,
        }
        optional: dict[str, Any] = {"keywords": list(self.keywords), "delay": self.delay}
        transcription |= {name: value for name, value in optional.items() if value}
        turns = self.turns.told() if self.turns else None
        kind, beta_kind = _NAMES[self.format.encoding]
        named = {"id": session_id, "object": "realtime.transcription_session"}
        include = {"include": [LOGPROBS] if self.logprobs else None}
        if beta:
            return (
                named
                | include
                | {
                    "input_audio_format": beta_kind,
                    "input_audio_transcription": transcription,
                    "turn_detection": turns,
                    "input_audio_noise_reduction": None,
                }
            )
        rate = {"rate": self.format.sample_rate_hz} if kind == "audio/pcm" else {}
        heard = {
            "format": {"type": kind, **rate},
            "transcription": transcription,
            "turn_detection": turns,
            "noise_reduction": None,
        }
        return {"type": "transcription", **named, **include, "audio": {"input": heard}}


def audio_format(wanted: Format) -> AudioFormat:
    """Raises ClientError(`invalid_value`)."""
    if encoding := _TYPES.get(wanted.type):
        return AudioFormat(8_000, encoding)
    rate_hz = RATE_HZ if wanted.rate is None else wanted.rate
    if wanted.type in ("audio/pcm", "pcm16") and MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        return AudioFormat(rate_hz)
    known = ", ".join(sorted({"audio/pcm", *_TYPES}))
    what = f"field 'session.audio.input.format' is {wanted.type!r:.40} at {rate_hz} Hz"
    raise ClientError("invalid_value", what, f"use one of {known}, PCM at {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz")
