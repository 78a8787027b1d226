"""What a client asks for in the address: Deepgram's parameters, as far as they mean something here.

All others are ignored: clients of all ages send them. Booleans come as `true` or `True`, and lists as a repeated name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import msgspec
from cohear_client.fields import explain
from cohear_client.languages import language_code
from cohear_client.messages import check_text
from cohear_client.protocol import (
    MAX_CHANNELS,
    MAX_ENDPOINT_MS,
    MAX_PROMPT_CHARS,
    MAX_RATE_HZ,
    MIN_RATE_HZ,
)
from msgspec import Meta

from ...core.audio import AudioFormat, Encoding
from ...core.commands import Start
from ...errors import ClientError

Packed = Literal["flac", "opus", "ogg-opus"]
"""encodings that come in a container, which says by itself what is in it"""
Sampled = Literal["linear16", "linear32", "mulaw", "alaw"]
"""encodings that are samples alone"""

_SAMPLES: dict[Sampled, Encoding] = {
    "linear16": "pcm_s16le",
    "linear32": "pcm_f32le",
    "mulaw": "mulaw",
    "alaw": "alaw",
}
_TELEPHONE_HZ = 8_000
_LEAST_ENDPOINT_MS = 300
"""Clients ask for 10 or 25 ms, after which Deepgram's own detector expects an end; here it is the silence itself, and
words have pauses of that length before them."""
_ANY_LANGUAGE = "multi"
_DEFAULT_LANGUAGE = "en"


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a stream or a file."""

    encoding: Sampled | Packed | None = None
    """None: a container"""
    sample_rate: Annotated[int, Meta(ge=MIN_RATE_HZ, le=MAX_RATE_HZ)] | None = None
    channels: Annotated[int, Meta(ge=1, le=MAX_CHANNELS)] = 1
    multichannel: bool = False
    interim_results: bool = False
    endpointing: Annotated[int, Meta(ge=0, le=60_000)] | Literal["true", "false"] | None = None
    """ms of silence after which `speech_final` is told; false: it is not"""
    utterance_end_ms: Annotated[int, Meta(ge=1_000, le=60_000)] | None = None
    vad_events: bool = False
    language: Annotated[str, Meta(max_length=40)] = _DEFAULT_LANGUAGE
    detect_language: bool = False
    punctuate: bool = False
    smart_format: bool = False
    keyterm: tuple[str, ...] = ()
    utterances: bool = False
    """of a file: its segments too"""
    callback: str = ""
    keywords: tuple[str, ...] = ()
    """with a boost behind a colon, which has no meaning here"""

    @property
    def punctuated(self) -> bool:
        return self.punctuate or self.smart_format

    @property
    def packed(self) -> bool:
        """Whether the audio comes in a container."""
        return self.encoding is None or self.encoding in get_args(Packed)

    @property
    def terms(self) -> tuple[str, ...]:
        return (*self.keyterm, *(keyword.partition(":")[0] for keyword in self.keywords))

    @property
    def known_language(self) -> str | None:
        """The code that models know; None: found. Raises ClientError(`bad_field`)."""
        if self.detect_language or self.language == _ANY_LANGUAGE:
            return None
        try:
            return language_code(self.language)
        except ClientError as fault:
            raise ClientError(fault.code, f"field 'language': {fault.message}", fault.remedy) from fault

    def check_file(self) -> None:
        """Raises ClientError(`bad_field`) for what a whole file cannot have."""
        self._check_callback()
        if self.multichannel:
            raise ClientError("bad_field", "field 'multichannel' cannot be true", "leave it out: channels are mixed")

    def _check_callback(self) -> None:
        if self.callback:
            remedy = "leave it out, and read the answer where you ask"
            raise ClientError("bad_field", "field 'callback' is not taken: this server calls nobody", remedy)

    def start(self) -> Start:
        """The stream that it asks for. Raises ClientError(`bad_field`)."""
        self._check_callback()
        if self.multichannel and self.channels > 1:
            remedy = "leave it out, and the channels are mixed; or open a stream for each"
            raise ClientError("bad_field", "field 'multichannel' cannot be true with several channels", remedy)
        return Start(
            format=self._format(),
            language=self.known_language,
            partials=self.interim_results,
            endpoint_ms=self._endpoint_ms(),
            prompt=prompt_of(self.terms),
        )

    def _format(self) -> AudioFormat:
        if self.encoding is None or self.encoding not in _SAMPLES:
            return AudioFormat()  # what `containers` makes of it
        rate_hz = self.sample_rate or (_TELEPHONE_HZ if self.encoding in ("mulaw", "alaw") else None)
        if rate_hz is None:
            needed = f"field 'sample_rate' is missing, and {self.encoding} samples do not tell it"
            raise ClientError("bad_field", needed, f"give {MIN_RATE_HZ} to {MAX_RATE_HZ}")
        return AudioFormat(rate_hz, _SAMPLES[self.encoding], self.channels)

    def _endpoint_ms(self) -> int | None:
        if not isinstance(self.endpointing, int):
            return None
        return min(max(self.endpointing, _LEAST_ENDPOINT_MS), MAX_ENDPOINT_MS)


FILE_PARAMETERS = (
    "encoding",
    "sample_rate",
    "channels",
    "language",
    "detect_language",
    "punctuate",
    "smart_format",
    "keyterm",
    "keywords",
    "utterances",
)
"""those that a whole file may have"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and which it is; `created` is in ISO 8601."""

    query: Query
    request_id: str
    created: str


def read_query(items: Iterable[tuple[str, str]]) -> Query:
    """Raises ClientError(`bad_field`) for a parameter that is known and has no meaning."""
    known = {field.name: field for field in msgspec.structs.fields(Query)}
    values: dict[str, Any] = {}
    for name, text in items:
        if name not in known or not text:
            continue
        if isinstance(known[name].default, tuple):
            values.setdefault(name, []).append(text)
        else:
            values[name] = text.lower() if name == "endpointing" else text
    try:
        return msgspec.convert(values, Query, strict=False)
    except msgspec.ValidationError as fault:
        wrong = explain("", values, Query, fault)
        raise ClientError("bad_field", f"field {wrong.name!r} {wrong.what}", wrong.remedy) from fault


def prompt_of(terms: Iterable[str]) -> str | None:
    """The text that makes the model expect these terms; None for no terms. Raises ClientError(`bad_field`)."""
    prompt = ", ".join(term.strip() for term in terms if term.strip())
    check_text("keyterm", prompt)
    if len(prompt) > MAX_PROMPT_CHARS:
        remedy = f"use at most {MAX_PROMPT_CHARS} characters together"
        raise ClientError("bad_field", f"field 'keyterm' holds {len(prompt)} characters", remedy)
    return prompt or None
