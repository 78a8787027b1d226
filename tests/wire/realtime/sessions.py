"""What a Realtime client says and is told, as its tests write and read it."""

from __future__ import annotations

import base64
import json
from typing import Any

from cohear_server.wire.realtime.settings import Offer
from cohear_testing.fake import FAKE_MODEL

OFFER = Offer(FAKE_MODEL, endpoint_ms=500, max_segment_s=10.0)
Told = dict[str, Any]
TRANSCRIPTION = "conversation.item.input_audio_transcription."


def append(pcm: bytes) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})


def update(**heard: Any) -> str:
    """A `session.update` of `audio.input`."""
    return json.dumps({"type": "session.update", "session": {"type": "transcription", "audio": {"input": heard}}})


def buffer(what: str, **rest: Any) -> str:
    return json.dumps({"type": f"input_audio_buffer.{what}", **rest})


def of(kind: str, messages: list[Told]) -> list[Told]:
    return [message for message in messages if message["type"] == kind]


def joined(messages: list[Told], item_id: str) -> str:
    """The deltas of an item."""
    return "".join(m["delta"] for m in of(TRANSCRIPTION + "delta", messages) if m["item_id"] == item_id)
