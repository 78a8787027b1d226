"""One audio track of one recording, packet by packet: what is heard when, and what cannot be decoded.

It knows containers and codecs by PyAV, and no links, rates or mixes. Samples are float32 [n, channels] at the track's
own rate, which may change on the way.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av.stream import Disposition

from ..errors import ClientError
from ..languages import is_language
from .links import has_length
from .sound import Wave

FROM_ZERO = frozenset({"matroska", "webm", "mov", "mp4", "nut"})
"""Containers whose time begins at zero,"""
TIMED = FROM_ZERO | {"asf", "flv", "live_flv", "mpeg", "mpegts", "mxf", "ogg", "rm"}
"""and all whose packets have times of their own; the time of these begins with their first packet. In others sound
follows sound, and the times that FFmpeg gives are computed from a bit rate."""
BROADCAST = frozenset({"mpeg", "mpegts", "asf", "flv", "live_flv"})
"""Containers in which a jump of time is a new clock, not a pause."""
PADDED = frozenset({"mov", "mp4", "ogg"})
"""Containers whose end of sound is exact to the sample."""
DECLARED = frozenset({"aiff", "ape", "asf", "avi", "caf", "flac", "mov", "mp4", "tta", "w64", "wv"})
"""Containers whose declared length is exact, so that missing sound can be found."""
JITTER_S = 0.025
VORBIS_JITTER_S = 0.1
"""FFmpeg estimates when its packets, of two lengths, are heard."""
DEMUX_FAULTS = 64
"""After so many faults of a container in a row the rest is given up."""
PLACEHOLDER_BYTES = 0x7FFF_0000
"""lengths from here on are what programs write into a WAV whose length they cannot know"""
FLOWING: dict[str, Any] = {
    "buffer_size": 2_048,
    "container_options": {"probesize": "4096", "analyzeduration": "100000"},
}
"""Without these FFmpeg reads seconds ahead before it gives the first sound."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Samples, and when they are heard; `at_s` None: right behind those before."""

    samples: Wave
    rate_hz: int
    at_s: float | None


@dataclass(frozen=True, slots=True)
class Lost:
    """A packet that could not be decoded."""

    at_s: float | None
    length_s: float


class Track:
    """An open recording with one of its tracks chosen."""

    def __init__(self, file: BinaryIO, name: str, wanted: str = "", *, flowing: bool = False) -> None:
        """`wanted`: number from 1, or language; else the default one. `flowing`: the file is still being made, and what
        is there is to be heard at once. Raises ClientError (`no_audio`, `bad_track`);
        what PyAV raises, or ValueError, for a file that cannot be decoded."""
        seekable = file.seekable()
        self.missing_s = _wav_missing_s(file) if seekable else 0.0
        """by how much a WAV is shorter than its header says: FFmpeg takes what is there for the length"""
        self._says_length = seekable and has_length(file)
        if seekable:
            file.seek(0)
        self._container: Any = av.open(file, metadata_errors="ignore", **(FLOWING if flowing else {}))
        try:
            self._stream = _choose(self._container, name, wanted)
            context = self._stream.codec_context
            if context is None or not context.channels or not context.sample_rate:
                raise ValueError("no decoder for its sound")
        except (ClientError, ValueError):
            self._container.close()
            raise
        self._kinds = set(self._container.format.name.split(","))
        self.rate_hz: int = context.sample_rate
        self.channels: int = context.channels
        self.jitter_s = VORBIS_JITTER_S if context.name == "vorbis" else JITTER_S
        """by which times are rounded or estimated"""
        self.timed = bool(self._kinds & TIMED)
        self.leaps = bool(self._kinds & BROADCAST)

    @property
    def duration_s(self) -> float | None:
        """What the header says or guesses."""
        duration = self._container.duration
        return None if duration is None else float(duration) / av.time_base

    def close(self) -> None:
        self._container.close()

    def sounds(self) -> Iterator[Sound | Lost]:
        """All that can be decoded, in order."""
        zero_s = self._zero_s()
        for packet in self._packets():
            at_s = _time_s(packet.pts, packet.time_base)
            at_s = at_s - zero_s if self.timed and at_s is not None else None
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError, EOFError):
                yield Lost(at_s, _time_s(packet.duration, packet.time_base) or 0.0)
                continue
            for frame in frames:
                frame_s = _time_s(frame.pts, frame.time_base) if self.timed else None
                yield Sound(_samples(frame), frame.sample_rate, None if frame_s is None else frame_s - zero_s)

    def roles(self) -> tuple[str, ...]:
        """What the channels are, as FFmpeg names them; nothing where that is not known."""
        layout = self._stream.codec_context.layout
        names = tuple(channel.name for channel in layout.channels)
        return names if len(names) == self.channels else ()

    def end_s(self) -> float | None:
        """When sound must end by what the container says; None where it does not say, or guesses."""
        stream = self._stream
        if self._kinds & {"matroska", "webm"}:
            return self._matroska_end_s()
        if stream.duration is None or not (self._kinds & DECLARED or self._says_length):
            return None
        return self._stream_end_s()

    def padded_end_s(self) -> float | None:
        """When sound ends, where the last packet may be filled up beyond it."""
        return self._stream_end_s() if self._kinds & PADDED and self._stream.duration is not None else None

    def _stream_end_s(self) -> float:
        stream = self._stream
        start_s = _time_s(stream.start_time, stream.time_base) or 0.0
        return float(stream.duration * stream.time_base) + (start_s - self._zero_s() if self.timed else 0.0)

    def _zero_s(self) -> float:
        start = self._container.start_time
        return 0.0 if self._kinds & FROM_ZERO or start is None else float(start) / av.time_base

    def _matroska_end_s(self) -> float | None:
        parts = self._stream.metadata.get("DURATION", "").split(":")
        try:
            hours, minutes, seconds = (float(part) for part in parts)
            return hours * 3600 + minutes * 60 + seconds
        except ValueError:
            # that of the film; the sound alone may end sooner
            return self.duration_s if len(self._container.streams) == 1 else None

    def _packets(self) -> Iterator[Any]:
        faults = 0
        packets = self._container.demux(self._stream)
        while faults < DEMUX_FAULTS:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, ValueError):
                faults += 1
                packets = self._container.demux(self._stream)
                continue
            faults = 0
            yield packet


def _choose(container: Any, name: str, wanted: str) -> Any:
    tracks = list(container.streams.audio)
    if not tracks:
        raise ClientError("no_audio", f"{name}: has no audio track", "give a file with sound")
    if not wanted:
        return next((track for track in tracks if track.disposition & Disposition.default), tracks[0])
    if wanted.isdigit() and 1 <= int(wanted) <= len(tracks):
        return tracks[int(wanted) - 1]
    for track in tracks:
        if is_language(track.metadata.get("language", ""), wanted):
            return track
    known = ", ".join(f"{number} ({track.metadata.get('language', 'und')})" for number, track in enumerate(tracks, 1))
    raise ClientError("bad_track", f"{name}: has no track {wanted!r}", f"choose one of its tracks: {known}")


def _time_s(count: int | None, base: Fraction | None) -> float | None:
    return None if count is None or base is None else float(count * base)


def _samples(frame: Any) -> Wave:
    """float32 [n, channels], full scale at 1."""
    data = frame.to_ndarray()
    data = data.T if frame.format.is_planar else data.reshape(-1, frame.layout.nb_channels)
    if data.dtype == np.uint8:
        data = (data.astype(np.float32) - 128.0) / 128.0
    elif data.dtype.kind == "i":
        data = data.astype(np.float32) / np.float32(-float(np.iinfo(data.dtype).min))
    return np.asarray(data, np.float32)


def _wav_missing_s(file: BinaryIO) -> float:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) != b"RIFF":
        return 0.0
    at, bytes_a_second = 12, 0
    while at + 8 < size:
        file.seek(at)
        head = file.read(24)
        kind, length = struct.unpack("<4sI", head[:8])
        if kind == b"fmt " and len(head) >= 20:
            (bytes_a_second,) = struct.unpack("<I", head[16:20])
        if kind == b"data":
            known = 0 < length < PLACEHOLDER_BYTES and bytes_a_second
            return max(at + 8 + length - size, 0) / bytes_a_second if known else 0.0
        at += 8 + length + length % 2
    return 0.0
