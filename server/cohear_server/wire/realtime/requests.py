"""What a Realtime client says, as msgspec structs. Fields that are not named here are ignored, as most of them are for
conversations; one that is left out keeps its value (UNSET), and null turns something off.

Shapes: https://platform.openai.com/docs/api-reference/realtime-client-events
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from cohear_client import messages
from msgspec import UNSET, UnsetType

from ...errors import ClientError

MAX_APPEND_BYTES = 15 << 20
"""of audio in one message"""
MAX_MESSAGE_BYTES = MAX_APPEND_BYTES * 4 // 3 + (64 << 10)
"""the same in base64, and what is around it"""
MAX_TEXT_CHARS = 64 << 10
"""Longest message without audio. A wrong one that is longer is not read again to find what is wrong with it."""

INVALID = "invalid_value"


class Refused(ClientError):
    """A message of the client cannot be taken. `event_id` is the client's name for it, `param` the field at fault."""

    def __init__(self, fault: ClientError, event_id: str | None = None, param: str | None = None) -> None:
        super().__init__(fault.code, fault.message, fault.remedy)
        self.event_id = event_id
        self.param = param


class Format(msgspec.Struct, frozen=True):
    type: str = "audio/pcm"
    rate: int | None = None


class Transcription(msgspec.Struct, frozen=True):
    model: str | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    prompt: str | UnsetType | None = UNSET
    keywords: Sequence[str] | UnsetType | None = UNSET
    languages: Sequence[str] | UnsetType | None = UNSET
    delay: str | UnsetType | None = UNSET


class TurnDetection(msgspec.Struct, frozen=True):
    type: str = "server_vad"
    silence_duration_ms: float | None = None
    eagerness: str | None = None


class AudioInput(msgspec.Struct, frozen=True):
    format: Format | UnsetType | None = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class Audio(msgspec.Struct, frozen=True):
    input: AudioInput | UnsetType | None = UNSET


class Session(msgspec.Struct, frozen=True):
    """Both shapes: `audio.input` is the present one, `input_audio_...` that of the beta."""

    audio: Audio | UnsetType | None = UNSET
    include: Sequence[str] | UnsetType | None = UNSET
    input_audio_format: str | UnsetType | None = UNSET
    input_audio_transcription: Transcription | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET

    @property
    def input(self) -> AudioInput:
        """What either shape says of the audio; the present one counts where both do."""
        told = (self.audio or Audio()).input or AudioInput()
        beta = self.input_audio_format
        return AudioInput(
            _first(told.format, Format(beta) if isinstance(beta, str) else beta),
            _first(told.transcription, self.input_audio_transcription),
            _first(told.turn_detection, self.turn_detection),
        )


class _Request(msgspec.Struct, frozen=True, tag_field="type"):
    event_id: str | None = None


class Update(_Request, frozen=True, tag="session.update"):
    session: Session = Session()


class BetaUpdate(_Request, frozen=True, tag="transcription_session.update"):
    session: Session = Session()


class Append(_Request, frozen=True, tag="input_audio_buffer.append"):
    audio: bytes = b""
    """base64 on the wire"""


class Commit(_Request, frozen=True, tag="input_audio_buffer.commit"):
    pass


class Clear(_Request, frozen=True, tag="input_audio_buffer.clear"):
    pass


Request = Update | BetaUpdate | Append | Commit | Clear
_REQUESTS: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


def read(said: str | bytes) -> Request:
    """A client's message. Raises Refused."""
    if isinstance(said, bytes):
        how = "send audio as base64 in input_audio_buffer.append"
        raise Refused(ClientError("invalid_message", "a binary frame came; this protocol has none", how))
    if len(said) > MAX_MESSAGE_BYTES:
        how = f"append at most {MAX_APPEND_BYTES} bytes of audio at once"
        raise Refused(ClientError("message_too_large", f"a message has {len(said)} characters", how))
    try:
        request = _REQUESTS.decode(said)
    except (msgspec.DecodeError, RecursionError) as fault:
        raise _refusal(said, fault) from fault
    if len(said) > MAX_TEXT_CHARS and not isinstance(request, Append):
        how = f"send at most {MAX_TEXT_CHARS} characters, but for audio"
        raise Refused(ClientError("message_too_large", f"a message has {len(said)} characters", how))
    return request


def _refusal(said: str, fault: Exception) -> Refused:
    if "base64" in str(fault):
        wrong = ClientError("invalid_audio", "field 'audio' is no base64", "encode the samples in base64, with padding")
        return Refused(wrong, _event_id(said), "audio")
    if len(said) > MAX_TEXT_CHARS:
        return Refused(ClientError("invalid_message", "a long message cannot be read", "send one JSON object a frame"))
    try:
        messages.decode(said, _REQUESTS)
    except ClientError as explained:
        param = explained.message.split("'")[1] if explained.code == "bad_field" else None
        return Refused(explained, _event_id(said), param)
    raise AssertionError("a message was refused, and then was not")


def _event_id(said: str) -> str | None:
    """The client's name for a message that is wrong."""
    if len(said) > MAX_TEXT_CHARS:
        return None
    try:
        data = json.loads(said)
    except (ValueError, RecursionError):
        return None
    name: Any = data.get("event_id") if isinstance(data, dict) else None
    return name if isinstance(name, str) and name.isprintable() else None


def _first(told: Any, otherwise: Any) -> Any:
    return otherwise if told is UNSET else told
