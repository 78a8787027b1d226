"""What a listener of each server sees: turns its messages into final text and text that may still change.

Pure. Each stream has its own reader, which gets the messages in order; many messages have no text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Showing:
    """The whole text of a stream after a message."""

    final: str
    """text that the server says it will not change"""
    open: str
    """text after it, which may change"""

    @property
    def text(self) -> str:
        return f"{self.final} {self.open}".strip()


class Reader(Protocol):
    def read(self, message: str) -> Showing | None:
        """The text after this message; None if the message has none. Raises ValueError for a malformed message."""


def showing(final: list[str], current: str = "") -> Showing:
    return Showing(" ".join(text.strip() for text in final if text.strip()), current.strip())


class CohearReader:
    """`partial` and `final` events by segment."""

    def __init__(self) -> None:
        self._finals: list[str] = []
        self._open: dict[int, str] = {}

    def read(self, message: str) -> Showing | None:
        event = json.loads(message)
        if event.get("type") == "partial":
            self._open[event["segment_id"]] = f"{event['stable']} {event['volatile']}"
        elif event.get("type") == "final":
            self._open.pop(event["segment_id"], None)
            self._finals.append(event["text"])
        else:
            return None
        return showing(self._finals, " ".join(self._open[number] for number in sorted(self._open)))


class PlainReader:
    """`launch/floor.py`: {"partial": text} for the running segment, {"final": text} when it is over."""

    def __init__(self) -> None:
        self._finals: list[str] = []

    def read(self, message: str) -> Showing | None:
        event = json.loads(message)
        if "final" in event:
            self._finals.append(event["final"])
            return showing(self._finals)
        return showing(self._finals, event["partial"]) if "partial" in event else None


class WhisperLiveReader:
    """Messages hold the last ten completed segments and one that may change; completed ones are told by their start."""

    def __init__(self) -> None:
        self._completed: dict[float, str] = {}

    def read(self, message: str) -> Showing | None:
        segments: list[dict[str, Any]] | None = json.loads(message).get("segments")
        if segments is None:
            return None
        for segment in segments:
            if segment["completed"]:
                self._completed[float(segment["start"])] = segment["text"]
        running = [segment["text"] for segment in segments if not segment["completed"]]
        return showing([self._completed[start] for start in sorted(self._completed)], " ".join(running))


class WhisperLiveKitReader:
    """Every message holds the whole text: `lines` are final, the buffer may change."""

    SILENCE = -2
    """lines with this speaker number stand for a pause"""

    def read(self, message: str) -> Showing | None:
        event = json.loads(message)
        if "lines" not in event:
            return None
        lines = [line.get("text") or "" for line in event["lines"] if line.get("speaker") != self.SILENCE]
        return showing(lines, event.get("buffer_transcription") or "")


class RealtimeSttReader:
    """`realtime` replaces the running text, `final` ends it."""

    def __init__(self) -> None:
        self._finals: list[str] = []
        self._open = ""

    def read(self, message: str) -> Showing | None:
        event = json.loads(message)
        if event.get("type") == "realtime":
            self._open = event.get("text") or ""
        elif event.get("type") == "final":
            self._finals.append(event.get("text") or "")
            self._open = ""
        else:
            return None
        return showing(self._finals, self._open)


class OpenAiRealtimeReader:
    """Transcription items: deltas add up, `completed` is final. Items keep the order in which they first appeared."""

    PREFIX = "conversation.item.input_audio_transcription."

    def __init__(self) -> None:
        self._items: dict[str, str] = {}
        self._done: set[str] = set()

    def read(self, message: str) -> Showing | None:
        event = json.loads(message)
        item = event.get("item_id")
        if item is None:
            return None
        self._items.setdefault(item, "")
        match event["type"].removeprefix(self.PREFIX):
            case "delta":
                self._items[item] += event["delta"]
            case "completed":
                self._items[item] = event["transcript"]
                self._done.add(item)
            case _:
                return None
        final = [text for name, text in self._items.items() if name in self._done]
        return showing(final, " ".join(text for name, text in self._items.items() if name not in self._done))


class LineReader:
    """Lines of `begin_ms end_ms text`: all are final."""

    def __init__(self) -> None:
        self._finals: list[str] = []

    def read(self, message: str) -> Showing | None:
        fields = message.split(maxsplit=2)
        if len(fields) < 2:
            raise ValueError(f"not a line of begin, end and text: {message!r}")
        self._finals.append(fields[2] if len(fields) == 3 else "")
        return showing(self._finals)
