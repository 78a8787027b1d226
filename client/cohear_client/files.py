"""Audio files, read block by block as PCM16; never a whole file in memory.

Every container and codec that FFmpeg knows is read where PyAV is installed (the extra `files`; the server has it), and
what soundfile knows without. Channels are mixed to mono unless asked otherwise, and rates above the protocol's largest
are divided down; all other resampling is the server's part. Each way in which a file can be bad becomes one ClientError
that starts with the file's name.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from .errors import ClientError
from .pcm import Pcm
from .protocol import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, Start
from .reading.loudness import Loudness
from .reading.mixing import Mixer
from .reading.sound import Damage, Reading, Wave

BLOCK_S = 0.1
CHUNK_S = 0.5
"""that are mixed and converted at once"""
NOT_SPIKES = 0.999
"""of samples; those beyond are what decoders make of damage"""
RECOVERY = 4.0
"""of the level, a chunk"""
DAMAGES = frozenset({"truncated", "damaged"})
"""Codes of what `AudioFile.blocks` raises when all that can be read was given: the file was read, with holes."""
PLACES_TOLD = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a file is heard."""

    track: str = ""
    """number from 1, or language; else the default track"""
    channel: int = 0
    """number from 1; 0 mixes them"""


ALL = Choice()


class AudioFile:
    """An open audio file. `rate_hz` and `channels` describe what `blocks` yields."""

    def __init__(
        self,
        path: str | Path,
        *,
        mono: bool = True,
        choice: Choice = ALL,
        pipe: BinaryIO | None = None,
        file: BinaryIO | None = None,
    ) -> None:
        """Open a file; `-` is standard input. What is no plain file is read to its end first, into one without a name.

        `pipe` is read instead, as it comes; a single recording of a kind that PyAV can read from front to back.
        `file` is one that is open already, to read at any place; it is closed with this. `path` is then but its name.

        Raises ClientError (`no_file`, `bad_file`, `no_audio`, `empty_audio`, `bad_rate`, `bad_channels`, `bad_track`).
        """
        self.path = Path(path)
        if pipe is not None:
            self._reading = _open_pipe(self.path, pipe, choice.track)
        else:
            self._reading = _open(self.path, file or open_bytes(self.path), choice.track)
        try:
            _check(self.path, self._reading, choice, mono=mono)
        except ClientError:
            self._reading.close()
            raise
        self._factor = -(-self._reading.rate_hz // MAX_RATE_HZ)
        self._channel = choice.channel
        self.rate_hz: int = self._reading.rate_hz // self._factor
        self.channels: int = 1 if mono or choice.channel else self._reading.channels

    @property
    def duration_s(self) -> float | None:
        """Length by the file's header, which may guess; None when that does not say."""
        return self._reading.duration_s

    @property
    def read_s(self) -> float:
        """How much was read so far."""
        return self._reading.read_s

    def start(self, **options: Any) -> Start:
        """A `start` that describes this audio; `options` are further fields of it."""
        return Start(sample_rate=self.rate_hz, channels=self.channels, **options)

    def blocks(self, block_s: float = BLOCK_S) -> Iterator[Pcm]:
        """All audio in blocks of `block_s` (the last is shorter): samples, or frames x channels.

        Raises ClientError after what could be read: `truncated` or `damaged` (see DAMAGES), `empty_audio`, `bad_file`.
        """
        size = max(round(block_s * self.rate_hz), 1)
        held: list[Pcm] = []
        held_samples = 0
        for pcm in self._converted():
            held.append(pcm)
            held_samples += len(pcm)
            if held_samples >= size:
                joined = np.concatenate(held)
                whole = held_samples // size * size
                yield from (joined[at : at + size] for at in range(0, whole, size))
                held, held_samples = [joined[whole:]], held_samples - whole
        if held_samples:
            yield np.concatenate(held)
        self._check_whole()

    def close(self) -> None:
        self._reading.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _converted(self) -> Iterator[Pcm]:
        level, divider = _Level(), _Divider(self._factor)
        loudness = Loudness(self.rate_hz, from_quiet=True) if self.channels == 1 else None
        for wave in self._mixed():
            divided = divider.push(wave)
            yield level.pcm(divided if loudness is None else loudness.push(divided))

    def _mixed(self) -> Iterator[Wave]:
        mixer: Mixer | None = None
        channels = 1
        for chunk in _chunks(self._reading.blocks(), round(CHUNK_S * self._reading.rate_hz)):
            chunk = np.nan_to_num(chunk, copy=False, posinf=1.0, neginf=-1.0)  # noqa: PLW2901
            if self._channel:
                yield chunk[:, min(self._channel, chunk.shape[1]) - 1]
            elif chunk.shape[1] == self.channels:
                yield chunk if self.channels > 1 else chunk[:, 0]
            else:
                if chunk.shape[1] > 1 and (mixer is None or chunk.shape[1] != channels):
                    channels = chunk.shape[1]
                    mixer = Mixer(channels, self._reading.rate_hz, self._reading.roles)
                mono = chunk[:, 0] if mixer is None or chunk.shape[1] == 1 else mixer.push(chunk)
                yield mono if self.channels == 1 else np.repeat(mono[:, None], self.channels, axis=1)

    def _check_whole(self) -> None:
        read_s, cut_s, damage = self._reading.read_s, self._reading.cut_s, self._reading.damage
        if not read_s and (damage or cut_s):
            raise ClientError("bad_file", f"{self.path}: nothing of its sound can be decoded here", "convert it to wav")
        if not read_s:
            raise _empty(self.path)
        if cut_s:
            raise ClientError(
                "truncated",
                f"{self.path}: the file is damaged, only the first {read_s:.1f} s of {read_s + cut_s:.1f} s could be "
                f"read{_places(damage, ', and not')}",
                "copy it again",
            )
        if damage:
            raise ClientError(
                "damaged", f"{self.path}: the file is damaged, all was read but{_places(damage)}", "copy it again"
            )


class _Level:
    """To PCM16. Floats may go beyond full scale: where more than single samples do, all is softer, for clipping spoils
    speech; afterwards the level comes back by degrees."""

    def __init__(self) -> None:
        self._gain = 1.0

    def pcm(self, wave: Wave) -> Pcm:
        self._gain = min(self._gain * RECOVERY, 1.0)
        if len(wave) and float(np.abs(wave).max()) * self._gain > 1.0:
            level = float(np.quantile(np.abs(wave), NOT_SPIKES))
            self._gain = min(self._gain, 1.0 / max(level, 1.0))
        whole = np.rint(wave * np.float32(32768.0 * self._gain))
        pcm: Pcm = np.clip(whole, -32768, 32767).astype(np.int16)
        return pcm


class _Divider:
    """Divides a high rate by a whole number: mean of each group of `factor` frames, across blocks.

    The mean lets some sound above the new rate's half through; at 44 kHz and more that is no speech.
    """

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._rest: Wave | None = None

    def push(self, block: Wave) -> Wave:
        if self._factor == 1:
            return block
        if self._rest is not None:
            block = np.concatenate([self._rest, block])
        whole = len(block) // self._factor * self._factor
        self._rest = block[whole:]  # under `factor` frames at the end of a file are lost: 0.1 ms
        means: Wave = block[:whole].reshape(-1, self._factor, *block.shape[1:]).mean(axis=1)
        return means


def _chunks(blocks: Iterator[Wave], size: int) -> Iterator[Wave]:
    """Blocks joined to some `size` frames; one of other channels begins a new chunk."""
    held: list[Wave] = []
    frames = 0
    for block in blocks:
        if held and (frames >= size or held[0].shape[1] != block.shape[1]):
            yield np.concatenate(held)
            held, frames = [], 0
        held.append(block)
        frames += len(block)
    if held:
        yield np.concatenate(held)


def open_bytes(path: Path) -> BinaryIO:
    """A file to read at any place; what is no plain file is copied first. Raises ClientError (`no_file`)."""
    if path.is_dir():
        raise ClientError("no_file", f"{path}: is a folder", "name the audio files in it")
    try:
        if str(path) == "-":
            if sys.stdin is None:
                raise ClientError("no_file", "-: standard input is closed", "give a pipe or a file")
            return _copied(sys.stdin.buffer)
        file = path.open("rb")
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        with file:
            return _copied(file)
    except FileNotFoundError as fault:
        raise ClientError("no_file", f"{path}: there is no such file", "check the name") from fault
    except (OSError, ValueError) as fault:  # ValueError: a NUL in the name
        reason = getattr(fault, "strerror", None) or str(fault)
        raise ClientError(
            "no_file", f"{path}: cannot be opened ({reason})", "check its name and permissions"
        ) from fault


def _copied(pipe: BinaryIO) -> BinaryIO:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 it is closed with what reads it
    shutil.copyfileobj(pipe, copy, 1 << 20)
    return copy


def _open(path: Path, file: BinaryIO, track: str) -> Reading:
    try:
        file.seek(0)
        head = file.read(64)
        if not head:
            raise ClientError("empty_audio", f"{path}: the file is empty (0 bytes)", "copy it again")
        return _by_av(path, file, track, head) or _by_soundfile(path, file, head)
    except BaseException:
        file.close()
        raise


def _open_pipe(path: Path, pipe: BinaryIO, track: str) -> Reading:
    reading = _by_av(path, pipe, track, b"", seekable=False)
    if reading is None:
        raise ClientError("bad_file", f"{path}: cannot be read as it comes", "save it to a file first")
    return reading


def _by_av(path: Path, file: BinaryIO, track: str, head: bytes, *, seekable: bool = True) -> Reading | None:
    try:
        import av

        from .reading.recording import Recording
    except ModuleNotFoundError:  # an extra
        return None
    try:
        return Recording(file, str(path), track, seekable=seekable)
    except (av.FFmpegError, ValueError, EOFError):
        return None
    except ClientError as fault:  # subtitles are a container too
        raise (_unreadable(path, head) if _is_text(head) else fault) from None


def _by_soundfile(path: Path, file: BinaryIO, head: bytes) -> Reading:
    import soundfile as sf

    from .reading.plain import PlainReading

    try:
        return PlainReading(file)
    except (sf.LibsndfileError, RuntimeError, TypeError) as fault:
        raise _unreadable(path, head) from fault


def _unreadable(path: Path, head: bytes) -> ClientError:
    if _is_text(head):
        return ClientError("bad_file", f"{path}: holds text, not audio", "give an audio file such as wav, flac or mp3")
    return ClientError("bad_file", f"{path}: not in an audio format that can be read here", _convert(path))


def _is_text(head: bytes) -> bool:
    return all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head)


def _check(path: Path, reading: Reading, choice: Choice, *, mono: bool) -> None:
    """Raises ClientError for audio that no server takes."""
    if reading.duration_s == 0:
        raise _empty(path)
    if reading.rate_hz < MIN_RATE_HZ:
        raise ClientError("bad_rate", f"{path}: {reading.rate_hz} Hz is below {MIN_RATE_HZ} Hz", _convert(path))
    if choice.channel > reading.channels:
        what = f"{path}: has no channel {choice.channel}"
        raise ClientError("bad_channels", what, f"choose one from 1 to {reading.channels}")
    if not mono and not choice.channel and reading.channels > MAX_CHANNELS:
        what = f"{path}: {reading.channels} channels, at most {MAX_CHANNELS} can go"
        raise ClientError("bad_channels", what, _convert(path))


def _convert(path: Path) -> str:
    return f"convert it: ffmpeg -i {path.name} -ar 16000 -ac 1 {path.stem}.converted.wav"


def _places(damage: list[Damage], lead: str = "") -> str:
    if not damage:
        return ""
    told = ", ".join(f"at {one.start_s:.1f} s" for one in damage[:PLACES_TOLD])
    more = f" and {len(damage) - PLACES_TOLD} more places" if len(damage) > PLACES_TOLD else ""
    return f"{lead} {sum(one.length_s for one in damage):.2f} s {told}{more}"


def _empty(path: Path) -> ClientError:
    return ClientError("empty_audio", f"{path}: holds no audio (0 samples)", "record or copy it again")
