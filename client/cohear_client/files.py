"""Audio files, read block by block as PCM16; never a whole file in memory.

Whatever soundfile reads can be opened. Channels are mixed to mono unless asked otherwise, and rates
above the protocol's largest are divided down; all other resampling is the server's part. Each way
in which a file can be bad becomes one ClientError that starts with the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from .errors import ClientError
from .pcm import Pcm
from .protocol import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, Start

BLOCK_S = 0.1
_UNKNOWN_LENGTH = 1 << 60
"""libsndfile gives a number near 2**63 for files that do not say how long they are."""
_STREAMED_BYTES = 0x7FFF_0000
"""Lengths from here on are what programs write into a WAV whose length they could not know."""
_SLACK_S = 0.1
"""Lossy formats may end some frames before the length they declare."""


class AudioFile:
    """An open audio file. `rate_hz` and `channels` describe what `blocks` yields."""

    def __init__(self, path: str | Path, *, mono: bool = True) -> None:
        """Open a file. Raises ClientError (`no_file`, `bad_file`, `empty_audio`, `bad_rate`)."""
        self.path = Path(path)
        self._file = _open(self.path)
        try:
            self._factor = _check(self.path, self._file, mono=mono)
        except ClientError:
            self._file.close()
            raise
        self._mono = mono
        self.rate_hz: int = self._file.samplerate // self._factor
        self.channels: int = 1 if mono else self._file.channels

    @property
    def duration_s(self) -> float | None:
        """Length by the file's header; None when that does not say."""
        frames = _declared_frames(self._file)
        return None if frames is None else frames / self._file.samplerate

    def start(self, **options: Any) -> Start:
        """A `start` that describes this audio; `options` are further fields of it."""
        return Start(sample_rate=self.rate_hz, channels=self.channels, **options)

    def blocks(self, block_s: float = BLOCK_S) -> Iterator[Pcm]:
        """All audio in blocks of `block_s` (the last is shorter): samples, or frames x channels.

        Raises ClientError (`truncated`, `empty_audio`) after what could be read.
        """
        size = max(round(block_s * self.rate_hz), 1) * self._factor
        divider = _Divider(self._factor)
        read = 0
        while True:
            try:
                block: NDArray[np.float32] = self._file.read(size, dtype="float32", always_2d=True)
            except (sf.LibsndfileError, RuntimeError) as fault:
                raise self._truncated(read) from fault
            if not len(block):
                break
            read += len(block)
            yield self._pcm(divider.push(block))
        if read == 0:
            raise _empty(self.path)
        if self.duration_s is not None and self.duration_s - read / self._file.samplerate > _SLACK_S:
            raise self._truncated(read)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _pcm(self, block: NDArray[np.float32]) -> Pcm:
        samples = block.mean(axis=1) if self._mono else block
        if not self._mono and block.shape[1] == 1:
            samples = block[:, 0]
        whole = np.rint(np.nan_to_num(samples) * 32768.0)
        pcm: Pcm = np.clip(whole, -32768, 32767).astype(np.int16)
        return pcm

    def _truncated(self, read_frames: int) -> ClientError:
        got = f"{read_frames / self._file.samplerate:.1f} s"
        of = f" of {self.duration_s:.1f} s" if self.duration_s is not None else ""
        return ClientError(
            "truncated", f"{self.path}: the file is damaged, only the first {got}{of} could be read", "copy it again"
        )


class _Divider:
    """Divides a high rate by a whole number: mean of each group of `factor` frames, across blocks.

    The mean lets some sound above the new rate's half through; at 44 kHz and more that is no speech.
    """

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._rest: NDArray[np.float32] | None = None

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._factor == 1:
            return block
        if self._rest is not None:
            block = np.concatenate([self._rest, block])
        whole = len(block) // self._factor * self._factor
        self._rest = block[whole:]  # under `factor` frames at the end of a file are lost: 0.1 ms
        means: NDArray[np.float32] = block[:whole].reshape(-1, self._factor, block.shape[1]).mean(axis=1)
        return means


def _open(path: Path) -> sf.SoundFile:
    if path.is_dir():
        raise ClientError("no_file", f"{path}: is a folder", "name the audio files in it")
    try:
        with path.open("rb") as plain:
            head = plain.read(64)
    except FileNotFoundError as fault:
        raise ClientError("no_file", f"{path}: there is no such file", "check the name") from fault
    except (OSError, ValueError) as fault:  # ValueError: a NUL in the name
        reason = getattr(fault, "strerror", None) or str(fault)
        raise ClientError(
            "no_file", f"{path}: cannot be opened ({reason})", "check its name and permissions"
        ) from fault
    if not head:
        raise ClientError("empty_audio", f"{path}: the file is empty (0 bytes)", "copy it again")
    try:
        return sf.SoundFile(path)
    except (sf.LibsndfileError, RuntimeError, TypeError) as fault:
        raise _unreadable(path, head) from fault


def _unreadable(path: Path, head: bytes) -> ClientError:
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
        return ClientError("bad_file", f"{path}: holds text, not audio", "give an audio file such as wav, flac or mp3")
    return ClientError(
        "bad_file",
        f"{path}: not in an audio format that can be read here",
        f"convert it: ffmpeg -i {path.name} -ar 16000 -ac 1 {path.stem}.converted.wav",
    )


def _check(path: Path, file: sf.SoundFile, *, mono: bool) -> int:
    """By how much to divide the rate. Raises ClientError for audio that no server takes."""
    convert = f"convert it: ffmpeg -i {path.name} -ar 16000 -ac 1 {path.stem}.converted.wav"
    if file.frames == 0:
        raise _empty(path)
    if file.samplerate < MIN_RATE_HZ:
        raise ClientError("bad_rate", f"{path}: {file.samplerate} Hz is below {MIN_RATE_HZ} Hz", convert)
    if not mono and file.channels > MAX_CHANNELS:
        raise ClientError("bad_channels", f"{path}: {file.channels} channels, at most {MAX_CHANNELS} can go", convert)
    factor: int = -(-file.samplerate // MAX_RATE_HZ)
    return factor


def _declared_frames(file: sf.SoundFile) -> int | None:
    """Length by the header; None when that does not say."""
    frames: int = file.frames
    if frames >= _UNKNOWN_LENGTH:
        return None
    # libsndfile mends the length of a WAV that was cut off, and notes so in its log
    cut = re.search(r"^data : (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    if cut is None:
        return frames
    declared_bytes, present_bytes = int(cut[1]), int(cut[2])
    if declared_bytes >= _STREAMED_BYTES or present_bytes == 0:
        return frames
    return max(frames, frames * declared_bytes // present_bytes)


def _empty(path: Path) -> ClientError:
    return ClientError("empty_audio", f"{path}: holds no audio (0 samples)", "record or copy it again")
