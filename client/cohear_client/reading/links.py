"""Where one recording ends in a file and the next begins.

Several recordings may be joined to one file: chained Ogg, MP3 and WAV joined by `cat`, WebM of a recorder that was
started twice. Most readers stop after the first recording, or read the second with the header of the first. Here each
recording is a *link*, and is read as a file of its own.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO

SCAN_BYTES = 1 << 20
_OVERLAP_BYTES = 64
"""Overlap of two scanned blocks; no marker is longer."""
_TAG_BYTES = 10


@dataclass(frozen=True, slots=True)
class Link:
    """Bytes [start, end) of a file."""

    start: int
    end: int


def find_links(file: BinaryIO) -> list[Link]:
    """The recordings in a seekable file, in order; one that covers all of it where nothing else is known."""
    end = file.seek(0, io.SEEK_END)
    tagged = _after_tag(file, 0)
    head = _read_at(file, tagged, 16)
    starts: list[int] = [0]
    if head[:4] == b"OggS":
        starts += _ogg_chains(file, tagged, end)
    elif head[4:8] == b"ftyp":
        starts += _second_films(file, end)
    elif (marker := _marker(head)) is not None:
        starts += [start for start in _found(file, marker) if start > tagged]
    elif tagged or _is_mpeg_audio(head):
        starts += [start for start in _mp3_starts(file) if start > tagged]
    starts = sorted({_before_tags(file, start) if start else 0 for start in starts})
    return [Link(start, _without_tags(file, start, stop)) for start, stop in pairwise([*starts, end])]


def open_link(file: BinaryIO, link: Link) -> BinaryIO:
    """The link as a file of its own; `file` must stay open."""
    return io.BufferedReader(_Slice(file, link), SCAN_BYTES >> 4)


class _Slice(io.RawIOBase):
    def __init__(self, file: BinaryIO, link: Link) -> None:
        super().__init__()
        self._file = file
        self._link = link
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        size = self._link.end - self._link.start
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, room: Any, /) -> int:
        left = max(self._link.end - self._link.start - self._at, 0)
        data = _read_at(self._file, self._link.start + self._at, min(len(room), left))
        room[: len(data)] = data
        self._at += len(data)
        return len(data)


def _read_at(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _marker(head: bytes) -> re.Pattern[bytes] | None:
    """The pattern with which each further recording of such a file begins."""
    if head[:4] == b"fLaC":
        return re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return re.compile(rb"(?:RIFF|RF64|BW64)....WAVE(?:fmt |ds64|JUNK|LIST|bext)", re.DOTALL)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return re.compile(rb"\x1a\x45\xdf\xa3.{1,40}\x42\x82.{1,8}(?:webm|matroska)", re.DOTALL)
    return None


def _found(file: BinaryIO, marker: re.Pattern[bytes]) -> Iterator[int]:
    at, tail = 0, b""
    file.seek(0)
    while block := file.read(SCAN_BYTES):
        data = tail + block
        base = at - len(tail)
        for match in marker.finditer(data):
            yield base + match.start()  # twice where it lies in the overlap: starts are a set
        at += len(block)
        file.seek(at)
        tail = data[-_OVERLAP_BYTES:]


def _ogg_chains(file: BinaryIO, start: int, end: int) -> Iterator[int]:
    """RFC 3533: a chain begins with pages that begin streams, all of them before any other page."""
    at, beginning = start, True
    while at + 27 <= end:
        page = _read_at(file, at, 27 + 255)
        if page[:4] != b"OggS":
            skipped = page.find(b"OggS", 1)
            at += skipped if skipped > 0 else len(page) - 3
            continue
        begins = bool(page[5] & 2)
        if begins and not beginning:
            yield at
        beginning = begins
        at += 27 + page[26] + sum(page[27 : 27 + page[26]])


def _second_films(file: BinaryIO, end: int) -> Iterator[int]:
    """ISO 14496-12: a second `ftyp` behind a `moov` begins another film."""
    at, complete = 0, False
    while at + 16 <= end:
        size, kind, large = struct.unpack(">I4sQ", _read_at(file, at, 16))
        if kind == b"ftyp" and complete:
            yield at
            complete = False
        complete |= kind == b"moov"
        size = large if size == 1 else size
        if size < 8:  # up to the end, or no box at all
            return
        at += size


_MPEG_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def _is_mpeg_audio(head: bytes) -> bool:
    """Whether a frame of MPEG audio, layers I to III, may begin so (ISO 11172-3, 2.4.2.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version in _MPEG_RATES and layer != 0 and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3


def _mp3_starts(file: BinaryIO) -> Iterator[int]:
    """Where an encoder's first frame is (it has a length of its own, delay and padding), and where tags are."""
    for at in _found(file, re.compile(rb"Xing\x00\x00\x00[\x00-\x0f]|Info\x00\x00\x00[\x00-\x0f]|ID3[\x02-\x04]\x00")):
        if _read_at(file, at, 3) == b"ID3":
            after = _after_tag(file, at)
            if after > at and _is_mpeg_audio(_read_at(file, after, 4)):
                yield at
        elif (start := _first_frame(file, at)) is not None:
            yield start


def _first_frame(file: BinaryIO, mark: int) -> int | None:
    """The frame that has an encoder's mark behind its empty side information."""
    for side_bytes, version_1, mono in ((32, True, False), (17, True, True), (17, False, False), (9, False, True)):
        start = mark - 4 - side_bytes
        head = _read_at(file, start, 4) if start >= 0 else b""
        if _is_mpeg_audio(head) and (head[1] >> 3 & 3 == 3, head[3] >> 6 == 3) == (version_1, mono):
            return start
    return None


def has_length(file: BinaryIO) -> bool:
    """Whether an MP3 tells in its first frame how many there are."""
    at = _after_tag(file, 0)
    match = re.search(rb"(?:Xing|Info)\x00\x00\x00([\x00-\x0f])", _read_at(file, at, 64))
    return match is not None and bool(match[1][0] & 1)


def _after_tag(file: BinaryIO, at: int) -> int:
    """Behind the ID3v2 tags that begin there."""
    while (size := _tag_size(_read_at(file, at, _TAG_BYTES))) is not None:
        at += size
    return at


def _tag_size(head: bytes) -> int | None:
    if len(head) < _TAG_BYTES or head[:3] != b"ID3" or head[3] > 4 or max(head[6:10]) > 127:
        return None
    size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    return size + _TAG_BYTES * (2 if head[5] & 0x10 else 1)


def _before_tags(file: BinaryIO, start: int) -> int:
    """The ID3v2 tag right before a recording is its own."""
    window_at = max(start - SCAN_BYTES, 0)
    window = _read_at(file, window_at, start - window_at)
    at = window.rfind(b"ID3")
    while at >= 0:
        if _tag_size(window[at : at + _TAG_BYTES]) == len(window) - at:
            return window_at + at
        at = window.rfind(b"ID3", 0, at)
    return start


def _without_tags(file: BinaryIO, start: int, end: int) -> int:
    """Before the ID3v1 and APE tags at the end: between two recordings decoders take them for sound."""
    while end - start > 128:
        tail = _read_at(file, end - 128, 128)
        if tail[:3] == b"TAG":
            end -= 128
        elif tail[-32:-24] == b"APETAGEX":
            size, _, flags = struct.unpack("<III", tail[-20:-8])
            end = max(end - size - (32 if flags >> 31 else 0), start)
        else:
            break
    return end
