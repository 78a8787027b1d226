"""The messages of a live stream as structs; each one's `type` is its tag. Times are seconds of audio."""

from __future__ import annotations

import msgspec
from cohear_client import messages
from msgspec.json import Decoder


class _Request(msgspec.Struct, frozen=True, tag_field="type"):
    """From the client; fields that are not known here are skipped."""


class KeepAlive(_Request, frozen=True):
    """No audio now, but still here. It has no answer."""


class Finalize(_Request, frozen=True):
    """Make all audio so far final; one `Results` with `from_finalize` answers."""


class CloseStream(_Request, frozen=True):
    """No more audio: the last finals, then `Metadata`, then the close."""


class Configure(_Request, frozen=True):
    keyterms: tuple[str, ...] | None = None
    """in place of those before"""


Request = KeepAlive | Finalize | CloseStream | Configure
_REQUEST: Decoder[Request] = Decoder(Request)


class Word(msgspec.Struct, frozen=True, omit_defaults=True):
    word: str
    start: float
    end: float
    confidence: float
    punctuated_word: str | None = None


class Alternative(msgspec.Struct, frozen=True):
    transcript: str
    confidence: float
    words: tuple[Word, ...]


class Channel(msgspec.Struct, frozen=True):
    alternatives: tuple[Alternative, ...]


class ModelInfo(msgspec.Struct, frozen=True):
    name: str
    version: str
    arch: str = "whisper"


class ResultsMetadata(msgspec.Struct, frozen=True):
    request_id: str
    model_info: ModelInfo
    model_uuid: str


class _Event(msgspec.Struct, frozen=True, tag_field="type"):
    """From the server."""


class Results(_Event, frozen=True):
    """What was said in [`start`, `start` + `duration`); with `is_final` for good."""

    channel_index: tuple[int, int]
    start: float
    duration: float
    is_final: bool
    speech_final: bool
    from_finalize: bool
    channel: Channel
    metadata: ResultsMetadata


class SpeechStarted(_Event, frozen=True):
    channel: tuple[int, int]
    timestamp: float


class UtteranceEnd(_Event, frozen=True):
    channel: tuple[int, int]
    last_word_end: float


class Metadata(_Event, frozen=True):
    request_id: str
    sha256: str
    """of the audio as it came"""
    created: str
    duration: float
    channels: int
    transaction_key: str = "deprecated"


class Error(_Event, frozen=True):
    variant: str
    description: str


class ConfigureSuccess(_Event, frozen=True, omit_defaults=True):
    request_id: str
    keyterms: tuple[str, ...] | None = None


class ConfigureFailure(_Event, frozen=True):
    request_id: str
    code: str
    description: str


Event = Results | SpeechStarted | UtteranceEnd | Metadata | Error | ConfigureSuccess | ConfigureFailure


def encode(message: Event) -> str:
    """The text frame of a message."""
    return msgspec.json.encode(message).decode()


def decode(text: str) -> Request:
    """What a client said. Raises ClientError (`bad_json`, `unknown_type`, `bad_field`)."""
    return messages.decode(text, _REQUEST)
