"""Transcripts in OpenAI's shapes: one object or text for the whole file, or events as it is heard."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cohear_client.languages import language_name
from cohear_client.protocol import Final, Word
from cohear_client.subtitles import srt, vtt
from cohear_client.transcript import Statistics, Transcript
from cohear_client.writing import joined_texts, lead

from ...batch.text import WindowText, transcript
from .request import Fields

LEAST_PROBABILITY = 1e-6
"""of a word: its logarithm must be a number"""

JSON, SUBTITLES_SRT, SUBTITLES_VTT, PLAIN = "application/json", "application/x-subrip", "text/vtt", "text/plain"


@dataclass(frozen=True, slots=True)
class Hearing:
    """What came of a file."""

    texts: Sequence[WindowText]
    audio_s: float
    model: str
    task: str
    warnings: tuple[str, ...] = ()
    """what of the file could not be read"""


def answer(heard: Hearing, fields: Fields) -> tuple[str, str]:
    """The body in the format that was asked for, and its media type."""
    whole = transcript(heard.texts, heard.model)
    match fields.response_format:
        case "text":
            return whole.text + "\n", PLAIN
        case "srt":
            return srt(whole), SUBTITLES_SRT
        case "vtt":
            return vtt(whole), SUBTITLES_VTT
        case "verbose_json":
            return _json({**_verbose(whole, heard, fields), **_ending(heard)}), JSON
    told: dict[str, Any] = {"text": whole.text}
    if whole.language:
        told["languages"] = [{"code": whole.language}]
    if fields.logprobs:
        told["logprobs"] = logprobs(whole.segments)
    return _json({**told, **_ending(heard)}), JSON


class Events:
    """The events of one file, as its windows are heard; their deltas join to the text of the last."""

    def __init__(self, fields: Fields, model: str) -> None:
        self._fields = fields
        self._model = model
        self._text = ""
        self._language = ""
        self._segments: list[Final] = []

    def heard(self, text: WindowText) -> Iterator[str]:
        """One more window."""
        segments = transcript([text], self._model).segments
        self._language = self._language or (segments[0].language if segments else "")
        for segment in segments:
            before, self._text = self._text, joined_texts((self._text, segment.text), self._language)
            told: dict[str, Any] = {"type": "transcript.text.delta", "delta": self._text[len(before) :]}
            if self._fields.logprobs:
                told["logprobs"] = logprobs([segment])
                self._segments.append(segment)
            yield event(told)

    def done(self, heard: Hearing) -> str:
        """`heard` without its texts."""
        told: dict[str, Any] = {"type": "transcript.text.done", "text": self._text}
        if self._fields.logprobs:
            told["logprobs"] = logprobs(self._segments)
        return event({**told, **_ending(heard)})


def event(told: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {_json(told)}\n\n"


def logprobs(segments: Iterable[Final]) -> list[dict[str, Any]]:
    """One entry a word, the space before it included: the model's own tokens are not kept."""
    return [
        {
            "token": (token := lead(word.text, segment.language) + word.text.strip()),
            "logprob": round(math.log(max(word.confidence, LEAST_PROBABILITY)), 5),
            "bytes": list(token.encode()),
        }
        for segment in segments
        for word in segment.words
    ]


def _ending(heard: Hearing) -> dict[str, Any]:
    """What every answer in JSON ends with."""
    told: dict[str, Any] = {"usage": {"type": "duration", "seconds": round(heard.audio_s, 2)}, "model": heard.model}
    return {**told, "warnings": list(heard.warnings)} if heard.warnings else told


def _verbose(whole: Transcript, heard: Hearing, fields: Fields) -> dict[str, Any]:
    told: dict[str, Any] = {
        "task": heard.task,
        "language": language_name(whole.language),
        "duration": round(heard.audio_s, 3),
        "text": whole.text,
    }
    if "segment" in fields.timestamp_granularities:
        pairs = zip(whole.segments, whole.statistics, strict=True)
        told["segments"] = [_segment(number, *pair) for number, pair in enumerate(pairs)]
    if "word" in fields.timestamp_granularities:
        told["words"] = [_word(word) for word in whole.words]
    return told


def _segment(number: int, segment: Final, statistics: Statistics) -> dict[str, Any]:
    return {
        "id": number,
        "seek": round(statistics.window_start_s * 100),
        "start": round(segment.start_s, 3),
        "end": round(segment.end_s, 3),
        "text": lead(segment.text, segment.language) + segment.text.strip(),
        "tokens": [],
        "temperature": statistics.temperature,
        "avg_logprob": round(statistics.avg_logprob, 4),
        "compression_ratio": round(statistics.compression_ratio, 4),
        "no_speech_prob": round(statistics.no_speech_prob, 6),
    }


def _word(word: Word) -> dict[str, Any]:
    return {"word": word.text, "start": round(word.start_s, 3), "end": round(word.end_s, 3)}


def _json(told: object) -> str:
    return json.dumps(told, ensure_ascii=False)
