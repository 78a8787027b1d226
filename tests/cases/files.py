"""Random recordings: a drawn recipe, the file that it makes, and what must be heard of it.

Sound is bursts of noise in silence, so that lengths and places can be compared after any codec.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from hypothesis import strategies as st
from numpy.typing import NDArray

RATE_HZ = 16_000
FFMPEG = shutil.which("ffmpeg")
SUFFIXES: dict[str, tuple[str, ...]] = {
    "wav": ("pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_u8", "pcm_mulaw"),
    "flac": ("flac",),
    "mp3": ("libmp3lame",),
    "aac": ("aac",),
    "ogg": ("libvorbis", "flac", "libopus"),
    "opus": ("libopus",),
    "webm": ("libopus", "libvorbis") if FFMPEG else ("libopus",),
    "mkv": ("aac", "libmp3lame", "flac", "libopus", "pcm_s16le", "ac3"),
    "mp4": ("aac", "libmp3lame", "ac3"),
    "m4a": ("aac", "alac"),
    "mov": ("aac", "pcm_s16le"),
    "ts": ("aac", "mp2", "ac3"),
    "aiff": ("pcm_s16be",),
    "caf": ("pcm_s16be",),
    "au": ("pcm_s16be",),
}
MUXERS = {"aac": "adts", "ts": "mpegts", "m4a": "ipod", "mkv": "matroska"}
CODEC_RATES: dict[str, tuple[int, ...]] = {
    "libopus": (8_000, 16_000, 48_000),
    "ac3": (32_000, 44_100, 48_000),
    "mp2": (16_000, 24_000, 44_100, 48_000),
    "libmp3lame": (16_000, 22_050, 44_100, 48_000),
}
RATES = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000)
PRIMING = {("aac", "aac"): 1024, ("ts", "aac"): 1024, ("ts", "ac3"): 256, ("ts", "mp2"): 481}
"""Samples that an encoder puts before the sound, where the container cannot say so."""
FRAMES = {("aac", "aac"): 1024}
"""Samples of a packet, the last of which is filled up and cannot be said to be shorter."""
OVERLAP_S = 0.35
"""Sound near a packet that is missing: two of the longest packets, and the delay of the codec."""
CHAINED = frozenset({"wav", "flac", "mp3", "aac", "ogg", "opus", "webm", "m4a"})
LATE = frozenset({"mkv", "mp4", "m4a", "mov"})
UNGAPPED = frozenset({"libvorbis", "libmp3lame"})
"""Codecs whose packets are not made here, or that need those before them to be decoded."""
GAPPED = frozenset({"mkv", "webm", "mp4", "ts"})


@dataclass(frozen=True)
class Part:
    """One recording of a file."""

    codec: str
    rate_hz: int
    channels: int
    seed: int
    tagged: bool


@dataclass(frozen=True)
class Recipe:
    suffix: str
    parts: tuple[Part, ...]
    start_s: float = 0.0
    gap_s: float = 0.0
    """packets left out in the middle of the first part"""
    cut: bool = False
    """the file breaks off"""


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    suffix = draw(st.sampled_from(sorted(SUFFIXES)))
    number = draw(st.integers(1, 3)) if suffix in CHAINED else 1
    parts = tuple(draw(_parts("opus" if suffix == "webm" and number > 1 else suffix)) for _ in range(number))
    alone = number == 1
    start_s = draw(st.sampled_from([0.0, 1.5, 7.25])) if suffix in LATE and alone else 0.0
    timed = alone and parts[0].codec not in UNGAPPED
    gap_s = draw(st.sampled_from([0.0, 0.5])) if suffix in GAPPED and timed else 0.0
    return Recipe(suffix, parts, start_s, gap_s, alone and not gap_s and draw(st.booleans()))


@st.composite
def _parts(draw: st.DrawFn, suffix: str) -> Part:
    codec = draw(st.sampled_from(SUFFIXES[suffix]))
    rate_hz = draw(st.sampled_from(CODEC_RATES.get(codec, RATES)))
    return Part(codec, rate_hz, draw(st.sampled_from([1, 2])), draw(st.integers(0, 10_000)), draw(st.booleans()))


def sound(seed: int, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    """Bursts of a low noise with pauses between them, some seconds; the same at every rate."""
    rng = np.random.default_rng(seed)
    parts = [np.zeros(round(0.3 * rate_hz))]
    for _ in range(int(rng.integers(3, 6))):
        length_s, pause_s = float(rng.uniform(0.15, 0.5)), float(rng.uniform(0.25, 0.6))
        time_s = np.arange(round(length_s * rate_hz)) / rate_hz
        tones = [np.sin(2 * np.pi * hz * time_s + phase) for hz, phase in rng.uniform((200, 0), (1500, 6), (5, 2))]
        parts += [0.12 * np.sum(tones, axis=0), np.zeros(round(pause_s * rate_hz))]
    return np.concatenate(parts).astype(np.float32)


def make(recipe: Recipe, path: Path) -> NDArray[np.float32]:
    """Write the file; what must be heard of it, mono at 16 kHz."""
    data = b""
    heard: list[NDArray[np.float32]] = [np.zeros(round(recipe.start_s * RATE_HZ), np.float32)]
    for part in recipe.parts:
        gap = _gap(part, recipe.gap_s)
        data += encode(recipe.suffix, part, recipe.start_s, gap)
        wave = sound(part.seed)
        if gap is not None:
            wave[round(gap[0] * RATE_HZ) : round(gap[1] * RATE_HZ)] = 0
        lead_s = PRIMING.get((recipe.suffix, part.codec), 0) / part.rate_hz
        heard += [np.zeros(round(lead_s * RATE_HZ), np.float32), wave]
        if (frame := FRAMES.get((recipe.suffix, part.codec))) is not None:
            samples = len(sound(part.seed, part.rate_hz)) + round(lead_s * part.rate_hz)
            heard.append(np.zeros(round(-samples % frame / part.rate_hz * RATE_HZ), np.float32))
    path.write_bytes(data[: len(data) * 2 // 3] if recipe.cut else data)
    return np.concatenate(heard)


def outside_gap(recipe: Recipe, found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that no packet left out can have touched."""
    gap = _gap(recipe.parts[0], recipe.gap_s)
    if gap is None:
        return found
    first_s, last_s = recipe.start_s + gap[0] - OVERLAP_S, recipe.start_s + gap[1] + OVERLAP_S
    return [one for one in found if one[1] < first_s or one[0] > last_s]


def _gap(part: Part, gap_s: float) -> tuple[float, float] | None:
    begin_s = len(sound(part.seed)) / RATE_HZ / 3
    return (begin_s, begin_s + gap_s) if gap_s else None


def encode(suffix: str, part: Part, start_s: float = 0.0, gap: tuple[float, float] | None = None) -> bytes:
    """One recording as bytes; packets that lie in `gap` (seconds of the sound) are left out."""
    wave = sound(part.seed, part.rate_hz)
    if part.codec == "libvorbis":
        return _vorbis(suffix, part, wave)
    file = io.BytesIO()
    with av.open(file, "w", format=MUXERS.get(suffix, suffix)) as container:
        if part.tagged:
            container.metadata.update({"title": "a title", "comment": "x" * 300})
        stream: Any = container.add_stream(part.codec, rate=part.rate_hz, layout=("mono", "stereo")[part.channels - 1])
        stream.bit_rate = 96_000
        for packet in _packets(stream, wave, part, round(start_s * part.rate_hz)):
            at_s = float(packet.pts * packet.time_base) - start_s if packet.pts is not None else -1.0
            if gap is None or not gap[0] <= at_s < gap[1]:
                container.mux(packet)
    return file.getvalue()


def _vorbis(suffix: str, part: Part, wave: NDArray[np.float32]) -> bytes:
    """PyAV has no such encoder; soundfile has one, and ffmpeg's command line."""
    sides = np.repeat(wave[:, None], part.channels, axis=1)
    if FFMPEG is None or (suffix == "ogg" and not part.tagged):
        file = io.BytesIO()
        soundfile.write(file, sides, part.rate_hz, format="OGG", subtype="VORBIS")
        return file.getvalue()
    command = [FFMPEG, "-v", "error", "-f", "f32le", "-ar", str(part.rate_hz), "-ac", str(part.channels), "-i", "-"]
    command += ["-c:a", "libvorbis", "-metadata", "title=a title", "-f", suffix, "-"]
    return subprocess.run(command, input=sides.tobytes(), capture_output=True, check=True).stdout


def _packets(stream: Any, wave: NDArray[np.float32], part: Part, first: int) -> list[Any]:
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(np.repeat(wave[None], part.channels, axis=0)),
        "fltp",
        ("mono", "stereo")[part.channels - 1],
    )
    frame.sample_rate, frame.pts = part.rate_hz, first
    return [*stream.encode(frame), *stream.encode(None)]


def places(wave: NDArray[Any]) -> list[tuple[float, float]]:
    """Where its bursts begin and end, in seconds."""
    step = RATE_HZ // 200
    if len(wave) < RATE_HZ // 10:
        return []
    energy = np.square(wave[: len(wave) // step * step].astype(np.float64).reshape(-1, step)).mean(1)
    smooth = np.convolve(energy, np.ones(5) / 5, "same")
    loud = smooth > 0.1 * np.percentile(smooth[smooth > smooth.max() / 100], 50) if smooth.any() else smooth > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    found: list[tuple[float, float]] = []
    for begin, end in edges.reshape(-1, 2) / 200:
        if found and begin - found[-1][1] < 0.1:
            found[-1] = (found[-1][0], float(end))
        elif end - begin > 0.05:
            found.append((float(begin), float(end)))
    return found
