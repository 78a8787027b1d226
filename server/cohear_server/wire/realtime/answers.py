"""What a Realtime client is told, as msgspec structs. A field that is UNSET is left out; null is said.

Shapes: https://platform.openai.com/docs/api-reference/realtime-server-events
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class Answer(msgspec.Struct, frozen=True, tag_field="type"):
    """One message; `said` gives it its number."""


class SessionCreated(Answer, frozen=True, tag="session.created"):
    session: dict[str, Any]


class SessionUpdated(Answer, frozen=True, tag="session.updated"):
    session: dict[str, Any]


class BetaSessionCreated(Answer, frozen=True, tag="transcription_session.created"):
    session: dict[str, Any]


class BetaSessionUpdated(Answer, frozen=True, tag="transcription_session.updated"):
    session: dict[str, Any]


class SpeechStarted(Answer, frozen=True, tag="input_audio_buffer.speech_started"):
    audio_start_ms: int
    """since the first audio, the padding before the speech included"""
    item_id: str


class SpeechStopped(Answer, frozen=True, tag="input_audio_buffer.speech_stopped"):
    audio_end_ms: int
    item_id: str


class Committed(Answer, frozen=True, tag="input_audio_buffer.committed"):
    item_id: str
    previous_item_id: str | None


class Cleared(Answer, frozen=True, tag="input_audio_buffer.cleared"):
    pass


class ItemAdded(Answer, frozen=True, tag="conversation.item.added"):
    previous_item_id: str | None
    item: dict[str, Any]


class ItemDone(Answer, frozen=True, tag="conversation.item.done"):
    previous_item_id: str | None
    item: dict[str, Any]


class BetaItemCreated(Answer, frozen=True, tag="conversation.item.created"):
    previous_item_id: str | None
    item: dict[str, Any]


class Logprob(msgspec.Struct, frozen=True):
    """Of one word."""

    token: str
    logprob: float
    bytes: list[int]


class Delta(Answer, frozen=True, tag="conversation.item.input_audio_transcription.delta"):
    item_id: str
    delta: str
    content_index: int = 0


class Usage(msgspec.Struct, frozen=True):
    seconds: float
    type: str = "duration"


class Language(msgspec.Struct, frozen=True):
    code: str


class Completed(Answer, frozen=True, tag="conversation.item.input_audio_transcription.completed"):
    item_id: str
    transcript: str
    usage: Usage
    content_index: int = 0
    languages: list[Language] | UnsetType = UNSET
    logprobs: list[Logprob] | UnsetType = UNSET


class Fault(msgspec.Struct, frozen=True):
    type: str
    code: str
    message: str
    param: str | None = None
    event_id: str | UnsetType | None = UNSET
    """the client's name for the message at fault"""


class TranscriptionFailed(Answer, frozen=True, tag="conversation.item.input_audio_transcription.failed"):
    item_id: str
    error: Fault
    content_index: int = 0


class Error(Answer, frozen=True, tag="error"):
    error: Fault


def item(item_id: str) -> dict[str, Any]:
    """A conversation's item, whose only content is audio."""
    content = [{"type": "input_audio", "transcript": None}]
    fixed = {"object": "realtime.item", "type": "message", "role": "user", "status": "completed"}
    return {"id": item_id, **fixed, "content": content}


def said(answer: Answer, event_id: str) -> str:
    """The text frame."""
    values = msgspec.to_builtins(answer)
    return msgspec.json.encode({"type": values.pop("type"), "event_id": event_id, **values}).decode()
