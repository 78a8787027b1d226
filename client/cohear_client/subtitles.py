"""Segments to subtitle cues: short enough to read, in order, never overlapping.

A segment is cut between words, best after punctuation or in a pause, so that a cue holds at most
two lines of 42 characters and seven seconds (the usual broadcast limits), or what `SubtitleOptions` say.
Words without times get times in proportion to their length.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .protocol import Final
from .transcript import Transcript
from .writing import lead

LINE_CHARS, LINES = 42, 2
MAX_CUE_MS = 7_000
PAUSE_MS = 700
_SENTENCE_END = (".", "?", "!", "。", "？", "！", "…")


@dataclass(frozen=True, slots=True)
class SubtitleOptions:
    line_chars: int = LINE_CHARS
    lines: int = LINES
    words: int | None = None
    """most words of a cue"""
    pause_ms: int = PAUSE_MS
    """a silence between words that ends a cue"""
    highlight: bool = False
    """each cue once a word, that word underlined while it is spoken"""


STANDARD = SubtitleOptions()


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle; times in ms of the audio, `start_ms < end_ms <=` the next cue's start."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    marked: tuple[int, int, int] | None = None
    """line, and the characters [from, to) of it, that are underlined"""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text that is never cut, with the space before it."""

    text: str
    start_ms: int
    end_ms: int


def cues(transcript: Transcript, options: SubtitleOptions = STANDARD) -> list[Cue]:
    """The cues of a transcript."""
    made: list[Cue] = []
    for segment in transcript.segments:
        for group in _grouped(_pieces(segment, options), options):
            floor_ms = made[-1].end_ms if made else 0
            start_ms = max(group[0].start_ms, floor_ms)
            end_ms = max(group[-1].end_ms, start_ms + 1)
            cue = Cue(start_ms, end_ms, tuple(_wrap(_text(group), options)))
            made += _highlighted(cue, group) if options.highlight else [cue]
    return made


def srt(transcript: Transcript, options: SubtitleOptions = STANDARD) -> str:
    """SubRip."""
    blocks = (
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n"
        + _marked(cue, lambda text: text.replace("-->", "->"))
        + "\n"
        for number, cue in enumerate(cues(transcript, options), 1)
    )
    return "\n".join(blocks)


def vtt(transcript: Transcript, options: SubtitleOptions = STANDARD) -> str:
    """WebVTT."""
    blocks = (
        f"\n{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{_marked(cue, _escape)}\n"
        for cue in cues(transcript, options)
    )
    return "WEBVTT\n" + "".join(blocks)


def _highlighted(cue: Cue, group: list[_Piece]) -> list[Cue]:
    """The cue once a word, from that word's start to the next one's."""
    made: list[Cue] = []
    line = at = 0
    starts = [cue.start_ms, *(piece.start_ms for piece in group[1:]), cue.end_ms]
    for number, piece in enumerate(group):
        text = piece.text.strip()
        found = cue.lines[line].find(text, at) if line < len(cue.lines) else -1
        if found < 0 and line + 1 < len(cue.lines) and (found := cue.lines[line + 1].find(text)) >= 0:
            line += 1
        at = found + len(text) if found >= 0 else at
        start_ms = made[-1].end_ms if made else cue.start_ms
        end_ms = cue.end_ms if number == len(group) - 1 else min(starts[number + 1], cue.end_ms)
        if end_ms > start_ms:
            made.append(Cue(start_ms, end_ms, cue.lines, (line, found, at) if found >= 0 else None))
    return made


def _marked(cue: Cue, escape: Callable[[str], str]) -> str:
    lines = [escape(line) for line in cue.lines]
    if cue.marked is not None:
        line, begin, end = cue.marked
        text = cue.lines[line]
        lines[line] = f"{escape(text[:begin])}<u>{escape(text[begin:end])}</u>{escape(text[end:])}"
    return "\n".join(lines)


def _pieces(segment: Final, options: SubtitleOptions) -> list[_Piece]:
    if segment.words:
        return [
            _Piece(lead(word.text, segment.language) + text, _ms(word.start_s), _ms(word.end_s))
            for word in segment.words
            if (text := " ".join(word.text.split()))
        ]
    return _spread(segment, options)


def _spread(segment: Final, options: SubtitleOptions) -> list[_Piece]:
    """Pieces of a text without word times: each gets its share of the segment by its length."""
    texts = [" " + part for word in segment.text.split() for part in textwrap.wrap(word, options.line_chars)]
    start_ms, length_ms = _ms(segment.start_s), _ms(segment.end_s) - _ms(segment.start_s)
    total = sum(map(len, texts)) or 1
    pieces, done = [], 0
    for text in texts:
        end = done + len(text)
        pieces.append(_Piece(text, start_ms + length_ms * done // total, start_ms + length_ms * end // total))
        done = end
    return pieces


def _grouped(pieces: Iterable[_Piece], options: SubtitleOptions) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    for piece in pieces:
        while group and not _fits([*group, piece], options):
            cut = _best_cut(group)
            yield group[:cut]
            group = group[cut:]
        if group and piece.start_ms - group[-1].end_ms >= options.pause_ms:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _fits(group: list[_Piece], options: SubtitleOptions) -> bool:
    if options.words is not None and len(group) > options.words:
        return False
    return len(_wrap(_text(group), options)) <= options.lines and group[-1].end_ms - group[0].start_ms <= MAX_CUE_MS


def _best_cut(group: list[_Piece]) -> int:
    """Where to cut a full group: after the last sentence end, else comma, in its last two thirds; else at its end."""
    for marks in (_SENTENCE_END, (",", ";", ":", "，", "、")):
        for cut in range(len(group), len(group) // 3, -1):
            if group[cut - 1].text.endswith(marks):
                return cut
    return len(group)


def _text(group: list[_Piece]) -> str:
    return "".join(piece.text for piece in group).strip()


def _wrap(text: str, options: SubtitleOptions) -> list[str]:
    return textwrap.wrap(text, options.line_chars)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 0)


def _clock(ms: int, point: str) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"
