"""Segments to subtitle cues: short enough to read, in order, never overlapping.

A segment is cut between words, best after punctuation or in a pause, so that a cue holds at most
two lines of 42 characters and seven seconds (the usual broadcast limits). Words without times get
times in proportion to their length.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..protocol import Final
from ..transcript import UNSPACED, Transcript

LINE_CHARS, LINES = 42, 2
MAX_CUE_MS = 7_000
PAUSE_MS = 700
"""A silence between words that ends a cue."""
_SENTENCE_END = (".", "?", "!", "。", "？", "！", "…")


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle; times in ms of the audio, `start_ms < end_ms <=` the next cue's start."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text that is never cut, with the space before it."""

    text: str
    start_ms: int
    end_ms: int


def cues(transcript: Transcript) -> list[Cue]:
    """The cues of a transcript."""
    made: list[Cue] = []
    for segment in transcript.segments:
        for group in _grouped(_pieces(segment)):
            floor_ms = made[-1].end_ms if made else 0
            start_ms = max(group[0].start_ms, floor_ms)
            end_ms = max(group[-1].end_ms, start_ms + 1)
            made.append(Cue(start_ms, end_ms, tuple(_wrap(_text(group)))))
    return made


def srt(transcript: Transcript) -> str:
    """SubRip."""
    blocks = (
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{cue.text.replace('-->', '->')}\n"
        for number, cue in enumerate(cues(transcript), 1)
    )
    return "\n".join(blocks)


def vtt(transcript: Transcript) -> str:
    """WebVTT."""
    blocks = (
        f"\n{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{_escape(cue.text)}\n"
        for cue in cues(transcript)
    )
    return "WEBVTT\n" + "".join(blocks)


def _pieces(segment: Final) -> list[_Piece]:
    glue = "" if segment.language in UNSPACED else " "
    if segment.words:
        return [
            _Piece(glue + text, _ms(word.start_s), _ms(word.end_s))
            for word in segment.words
            if (text := " ".join(word.text.split()))
        ]
    return _spread(segment)


def _spread(segment: Final) -> list[_Piece]:
    """Pieces of a text without word times: each gets its share of the segment by its length."""
    texts = [" " + part for word in segment.text.split() for part in textwrap.wrap(word, LINE_CHARS)]
    start_ms, length_ms = _ms(segment.start_s), _ms(segment.end_s) - _ms(segment.start_s)
    total = sum(map(len, texts)) or 1
    pieces, done = [], 0
    for text in texts:
        end = done + len(text)
        pieces.append(_Piece(text, start_ms + length_ms * done // total, start_ms + length_ms * end // total))
        done = end
    return pieces


def _grouped(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    for piece in pieces:
        if group and not _fits([*group, piece]):
            cut = _best_cut(group)
            yield group[:cut]
            group = group[cut:]
        if group and piece.start_ms - group[-1].end_ms >= PAUSE_MS:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _fits(group: list[_Piece]) -> bool:
    return len(_wrap(_text(group))) <= LINES and group[-1].end_ms - group[0].start_ms <= MAX_CUE_MS


def _best_cut(group: list[_Piece]) -> int:
    """Where to cut a full group: after the last sentence end, else comma, in its last two thirds; else at its end."""
    for marks in (_SENTENCE_END, (",", ";", ":", "，", "、")):
        for cut in range(len(group), len(group) // 3, -1):
            if group[cut - 1].text.endswith(marks):
                return cut
    return len(group)


def _text(group: list[_Piece]) -> str:
    return "".join(piece.text for piece in group).strip()


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, LINE_CHARS)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 0)


def _clock(ms: int, point: str) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"
