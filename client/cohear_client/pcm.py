"""Audio for the wire: arrays to bytes, and bytes cut into frames that a server accepts.

It neither resamples nor converts between encodings; the server does that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import ClientError
from .protocol import Encoding, Start

Pcm: TypeAlias = NDArray[np.int16]
"""Samples (mono) or frames x channels."""
AudioLike: TypeAlias = bytes | bytearray | memoryview | NDArray[Any]

_DTYPES: dict[Encoding, np.dtype[Any]] = {
    "pcm_s16le": np.dtype("<i2"),
    "pcm_f32le": np.dtype("<f4"),
    "mulaw": np.dtype("u1"),
    "alaw": np.dtype("u1"),
}


def frame_bytes(start: Start) -> int:
    """Bytes of one sample of every channel."""
    return _DTYPES[start.encoding].itemsize * start.channels


def seconds(audio: Pcm | bytes, start: Start) -> float:
    """Duration of a block in the encoding of `start`."""
    frames = len(audio) / frame_bytes(start) if isinstance(audio, bytes) else len(audio)
    return frames / start.sample_rate


def to_bytes(audio: AudioLike, start: Start) -> bytes:
    """Audio in the encoding that `start` declares.

    Raises ClientError (`bad_audio`) for an array of another type, or for a part of a sample.
    """
    if isinstance(audio, np.ndarray):
        wanted = _DTYPES[start.encoding]
        if audio.dtype.newbyteorder("=") != wanted.newbyteorder("="):
            raise ClientError(
                "bad_audio",
                f"the stream carries {start.encoding}, the array is {audio.dtype}",
                f"send {wanted.newbyteorder('=')} samples, or start the stream with another encoding",
            )
        data = audio.astype(wanted, copy=False).tobytes()
    else:
        data = bytes(audio)
    if len(data) % frame_bytes(start):
        raise ClientError(
            "bad_audio",
            f"{len(data)} bytes are no whole number of {frame_bytes(start)}-byte frames",
            "send whole samples of every channel",
        )
    return data


def split(data: bytes, start: Start, max_bytes: int) -> Iterator[bytes]:
    """Cut `data` into pieces of whole frames, none over `max_bytes`."""
    step = max(max_bytes // frame_bytes(start), 1) * frame_bytes(start)
    for offset in range(0, len(data), step):
        yield data[offset : offset + step]
