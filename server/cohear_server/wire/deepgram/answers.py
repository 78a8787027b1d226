"""The answer for a whole file, in Deepgram's shape."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from cohear_client.protocol import Word

from ...batch.text import WindowText, transcript
from ...core.jobs import SAMPLE_RATE_HZ, HypothesisWord
from .query import Asked
from .text import alternative, model_info, model_uuid


@dataclass(frozen=True, slots=True)
class Hearing:
    """What came of a file."""

    texts: Sequence[WindowText]
    audio_s: float
    sha256: str
    """of the file as it came"""
    model: str
    damage: str = ""
    """what of the file could not be read"""


def answer(heard: Hearing, asked: Asked) -> bytes:
    """The body of the answer, in JSON."""
    return msgspec.json.encode({"metadata": _metadata(heard, asked), "results": _results(heard, asked)})


def _metadata(heard: Hearing, asked: Asked) -> dict[str, Any]:
    number = model_uuid(heard.model)
    told: dict[str, Any] = {
        "transaction_key": "deprecated",
        "request_id": asked.request_id,
        "sha256": heard.sha256,
        "created": asked.created,
        "duration": round(heard.audio_s, 7),
        "channels": 1,
        "models": [number],
        "model_info": {number: model_info(heard.model)},
    }
    if heard.damage:
        told["warnings"] = [{"parameter": "audio", "type": "damaged", "message": heard.damage}]
    return told


def _results(heard: Hearing, asked: Asked) -> dict[str, Any]:
    whole = transcript(heard.texts, heard.model)
    punctuated = asked.query.punctuated
    reading = alternative(_at_16_khz(whole.words), whole.language, punctuated=punctuated)
    channel: dict[str, Any] = {"alternatives": [reading]}
    if asked.query.known_language is None:
        channel["detected_language"] = whole.language
    told: dict[str, Any] = {"channels": [channel]}
    if asked.query.utterances:
        told["utterances"] = [
            {
                "id": str(uuid.uuid4()),
                "start": round(segment.start_s, 7),
                "end": round(segment.end_s, 7),
                "channel": 0,
                **msgspec.to_builtins(alternative(_at_16_khz(segment.words), segment.language, punctuated=punctuated)),
            }
            for segment in whole.segments
        ]
    return told


def _at_16_khz(words: Iterable[Word]) -> tuple[HypothesisWord, ...]:
    return tuple(
        HypothesisWord(
            word.text, round(word.start_s * SAMPLE_RATE_HZ), round(word.end_s * SAMPLE_RATE_HZ), word.confidence
        )
        for word in words
    )
