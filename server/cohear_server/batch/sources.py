"""Any audio or video file as blocks of 16 kHz samples, never the whole file in memory.

soundfile reads what it can (it is quick and exact), PyAV the rest: every container and codec that FFmpeg knows. Each
way in which a file can be bad is one ClientError that begins with its name and ends with a remedy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from cohear_client.files import AudioFile

from ..core.jobs import SAMPLE_RATE_HZ, Pcm
from ..core.resampler import Resampler
from ..errors import ClientError

BLOCK_S = 4.0
HASH_BYTES = 1 << 20
SLACK_S = 1.0
"""A container may declare this much more than its audio holds: its picture goes on, or its last packet is padded."""


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises ClientError(`no_file`)."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(HASH_BYTES):
                digest.update(block)
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise ClientError("no_file", f"{path}: cannot be read ({reason})", "check its name and permissions") from fault
    return digest.hexdigest()


class Source:
    """An open file. `duration_s` is what its header says, None where that does not."""

    def __init__(self, path: Path) -> None:
        """Raises ClientError (`no_file`, `empty_audio`, `bad_file`, `bad_rate`)."""
        self.path = path
        self._sound: AudioFile | None = None
        self._container: Any = None
        try:
            self._sound = AudioFile(path)
        except ClientError as fault:
            if fault.code != "bad_file":
                raise
            self._container = _open_container(path, fault)

    @property
    def duration_s(self) -> float | None:
        if self._sound is not None:
            return self._sound.duration_s
        duration = self._container.duration
        return None if duration is None else float(duration) / av.time_base

    def blocks(self) -> Iterator[Pcm]:
        """int16 mono 16 kHz. Raises ClientError (`truncated`, `empty_audio`) after what could be read."""
        return self._by_soundfile(self._sound) if self._sound is not None else self._by_av()

    def close(self) -> None:
        if self._sound is not None:
            self._sound.close()
        if self._container is not None:
            self._container.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _by_soundfile(self, file: AudioFile) -> Iterator[Pcm]:
        if file.rate_hz == SAMPLE_RATE_HZ:
            yield from file.blocks(BLOCK_S)
            return
        resampler = Resampler(file.rate_hz)
        try:
            for block in file.blocks(BLOCK_S):
                yield resampler.push(block)
        finally:
            # also where the file breaks off: what the resampler still holds was read
            rest = resampler.end()
        yield rest

    def _by_av(self) -> Iterator[Pcm]:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
        held: list[Pcm] = []
        held_samples = read_samples = 0
        broken: Exception | None = None
        frames = self._container.decode(audio=0)
        while True:
            try:
                frame = next(frames, None)
                pieces = resampler.resample(frame)
            except (av.FFmpegError, ValueError) as fault:
                broken, frame, pieces = fault, None, []
            for piece in pieces:
                samples: Pcm = np.asarray(piece.to_ndarray(), np.int16).reshape(-1)
                held.append(samples)
                held_samples += len(samples)
            if held_samples >= BLOCK_S * SAMPLE_RATE_HZ or (frame is None and held_samples):
                yield np.concatenate(held)
                read_samples += held_samples
                held, held_samples = [], 0
            if frame is None:
                break
        self._check_whole(read_samples, broken)

    def _check_whole(self, samples: int, broken: Exception | None) -> None:
        read_s, declared_s = samples / SAMPLE_RATE_HZ, self.duration_s
        if not samples and broken is None:
            raise ClientError("empty_audio", f"{self.path}: holds no audio (0 samples)", "record or copy it again")
        if broken is not None or (declared_s is not None and declared_s - read_s > SLACK_S):
            of = f" of {declared_s:.1f} s" if declared_s is not None else ""
            raise ClientError(
                "truncated",
                f"{self.path}: the file is damaged, only the first {read_s:.1f} s{of} could be read",
                "copy it again",
            )


def _open_container(path: Path, refusal: ClientError) -> Any:
    """`refusal` is what soundfile said; it stands where PyAV cannot read the file either."""
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (av.FFmpegError, OSError, ValueError) as fault:
        raise refusal from fault
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        container.close()
        raise ClientError("no_audio", f"{path}: has no audio track", "give a file with sound")
    if not stream.codec_context or not stream.codec_context.channels or not stream.codec_context.sample_rate:
        container.close()
        raise refusal
    return container
