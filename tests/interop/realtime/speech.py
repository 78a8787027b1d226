"""Real speech as a Realtime client sends it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from ...samples import load_samples

RATE_HZ = 24_000
APPEND_MS = 200


def clip(name: str) -> bytes:
    """PCM16 at 24 kHz of a clip of `audio_samples`."""
    (sample,) = [sample for sample in load_samples(speech=True) if str(sample) == name]
    return np.asarray(soxr.resample(sample.pcm16k(), 16_000, RATE_HZ), "<i2").tobytes()


def quiet(seconds: float) -> bytes:
    return bytes(int(seconds * RATE_HZ) * 2)


def pieces(pcm: bytes) -> Iterator[str]:
    """In base64."""
    size = RATE_HZ * APPEND_MS // 1_000 * 2
    return (base64.b64encode(pcm[at : at + size]).decode() for at in range(0, len(pcm), size))


def write(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path
