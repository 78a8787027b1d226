"""Real recordings in the shapes that transcribers read wrongly: how each is made, and what must be heard of it.

Speech is of the sample clips. Each case stands for a kind; `tests/client/reading` has more of each, without a model.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from ..samples import FOLDER as SAMPLES
from .files import MUXERS, RATE_HZ

Wave = NDArray[np.float32]
# as far as tiny.en agrees with itself
ASK = (
    r"and so,? my fellow americans.*ask(ed)? not (to )?(what )?your country can do for you"
    r".*as(k|ked)? what you can do for your"
)
BOOKS = r"produced the block books.*predecessors of the true printed book"
DIGITS = r"(3|three)\W+(7|seven)\W+(5|five)"


@dataclass(frozen=True)
class Case:
    name: str
    """of the file, with its suffix"""
    make: Callable[[], bytes]
    text: str
    """a pattern that must be found in the text, without case"""
    damaged: bool = False
    """the file is done with a warning"""


def speech(name: str) -> Wave:
    wave, rate_hz = sf.read(SAMPLES / f"{name}.flac", dtype="float32")
    return np.asarray(wave if rate_hz == RATE_HZ else soxr.resample(wave, rate_hz, RATE_HZ), np.float32)


def silence(seconds: float) -> Wave:
    return np.random.default_rng(3).normal(0, 1e-4, int(seconds * RATE_HZ)).astype(np.float32)


def encoded(suffix: str, codec: str, wave: Wave, rate_hz: int = RATE_HZ) -> bytes:
    """By PyAV."""
    file = io.BytesIO()
    with av.open(file, "w", format=MUXERS.get(suffix, suffix)) as container:
        stream: Any = container.add_stream(codec, rate=rate_hz, layout="mono")
        stream.bit_rate = 64_000
        sound = soxr.resample(wave, RATE_HZ, rate_hz).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(sound[None], "fltp", "mono")
        frame.sample_rate, frame.pts = rate_hz, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def written(kind: str, wave: Wave, subtype: str | None = None) -> bytes:
    """By soundfile."""
    file = io.BytesIO()
    sf.write(file, wave, RATE_HZ, format=kind, subtype=subtype)
    return file.getvalue()


def packets_changed(suffix: str, data: bytes, change: Callable[[int, float], str]) -> bytes:
    """A copy whose packets are kept, left out or spoilt, by number and time."""
    file, rng = io.BytesIO(), np.random.default_rng(1)
    with av.open(io.BytesIO(data), "r") as source, av.open(file, "w", format=MUXERS.get(suffix, suffix)) as target:
        stream = source.streams.audio[0]
        copy = target.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
        for number, packet in enumerate(packets):
            what = change(number, float((packet.pts or 0) * packet.time_base))
            if what == "spoil":
                noise = av.Packet(rng.bytes(packet.size))
                noise.pts, noise.dts, noise.time_base = packet.pts, packet.dts, packet.time_base
                noise.duration = packet.duration
                noise.stream = copy
                target.mux(noise)
            elif what == "keep":
                packet.stream = copy
                target.mux(packet)
    return file.getvalue()


def _both() -> Wave:
    return np.concatenate([speech("jfk"), speech("LJ001-0004")])


def _without_length() -> bytes:
    data = bytearray(written("WAV", _both()))
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFF_FFFF)
    return bytes(data)


def _joined(suffix: str, codec: str) -> bytes:
    return encoded(suffix, codec, speech("jfk")) + encoded(suffix, codec, speech("LJ001-0004"))


def _written_twice(kind: str) -> bytes:
    return written(kind, speech("jfk")) + written(kind, speech("LJ001-0004"))


def _digits(times: int) -> Wave:
    parts = [silence(0.5)]
    for number in range(3 * times):
        parts += [speech(("3_george_0", "7_jackson_0", "5_lucas_0")[number % 3]), silence(2.0)]
    return np.concatenate(parts)


def _inverted() -> Wave:
    return np.stack([speech("jfk"), -speech("jfk")], axis=1)


def _surround() -> Wave:
    """Speech in the centre, and louder music that is not speech beside it."""
    voice = speech("jfk")
    music = 3 * np.resize(speech("synthetic-chords"), len(voice))
    none = np.zeros_like(voice)
    return np.asarray(0.3 * np.stack([music, music[::-1], voice, none, none, none], axis=1), np.float32)


def _quiet(peak_db: float) -> Wave:
    return np.asarray(speech("jfk") / np.abs(speech("jfk")).max() * 10 ** (peak_db / 20), np.float32)


CASES = (
    Case("joined.mp3", lambda: _joined("mp3", "libmp3lame"), f"{ASK}.*{BOOKS}"),
    Case("chained.ogg", lambda: _written_twice("OGG"), f"{ASK}.*{BOOKS}"),
    Case("chained.opus", lambda: _joined("opus", "libopus"), f"{ASK}.*{BOOKS}"),
    Case("joined.flac", lambda: _written_twice("FLAC"), f"{ASK}.*{BOOKS}"),
    Case("no-length.wav", _without_length, f"{ASK}.*{BOOKS}"),
    Case("plain.m4a", lambda: encoded("m4a", "aac", speech("jfk")), ASK),
    Case("plain.webm", lambda: encoded("webm", "libopus", speech("jfk"), 48_000), ASK),
    Case("plain.ts", lambda: encoded("ts", "aac", speech("jfk")), ASK),
    Case("inverted.wav", lambda: written("WAV", _inverted()), ASK),
    Case("centre.wav", lambda: written("WAVEX", _surround()), ASK),
    Case(
        "spoilt.m4a",
        lambda: packets_changed("m4a", encoded("m4a", "aac", speech("jfk")), lambda n, _: ("keep", "spoil")[n == 60]),
        r"my fellow americans.*your country can do for you.*ask(ed)? what you can do for your country",
        damaged=True,
    ),
    Case("quiet-60.wav", lambda: written("WAV", _quiet(-60), "PCM_24"), ASK),
    Case("quiet-70.wav", lambda: written("WAV", _quiet(-70), "PCM_24"), ASK),
    Case("digits.wav", lambda: written("WAV", _digits(3)), r"\W+".join([DIGITS] * 3)),
    Case("loud.wav", lambda: written("WAV", 6 * speech("jfk"), "FLOAT"), ASK),
)


def make_all(folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / case.name for case in CASES]
    for case, path in zip(CASES, paths, strict=True):
        path.write_bytes(case.make())
    return paths
