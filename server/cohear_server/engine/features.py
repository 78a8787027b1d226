"""The input of the encoder from the samples of a window, and where the window has sound. It knows no model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.jobs import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, Pcm

VOICED_FRAME_SAMPLES = 320
VOICED_SHARE = 0.08
"""frames above this share of the level of a loud frame count as sound (-22 dB): the range of speech, not room noise"""


def padded_length(samples: int, silence_ms: int, bucket_samples: int) -> int:
    """Samples of the window with its silence, rounded up to whole buckets and cut at 30 s."""
    wanted = samples + silence_ms * SAMPLE_RATE_HZ // 1000
    return min(MAX_WINDOW_SAMPLES, -(-wanted // bucket_samples) * bucket_samples)


def waveform(pcm: Pcm, length: int) -> NDArray[np.float32]:
    """`pcm` scaled to -1..1, zeros after it up to `length` samples."""
    wave = np.zeros(length, np.float32)
    np.multiply(pcm, np.float32(1 / 32768), out=wave[: len(pcm)])
    return wave


def voiced_samples(pcm: Pcm) -> list[int]:
    """Where the window has sound: the start of each such frame, and the end of the last one. If no frame stands out,
    the whole window. At least two positions, in order."""
    frames = len(pcm) // VOICED_FRAME_SAMPLES
    blocks = pcm[: frames * VOICED_FRAME_SAMPLES].reshape(frames, VOICED_FRAME_SAMPLES).astype(np.float32)
    level = np.sqrt(np.square(blocks).mean(axis=1))
    loud = np.flatnonzero(level > VOICED_SHARE * np.percentile(level, 95)) if frames else level
    if not len(loud):
        return [0, len(pcm)]
    return [*(int(i) * VOICED_FRAME_SAMPLES for i in loud), int(loud[-1] + 1) * VOICED_FRAME_SAMPLES]


def sound_s(pcm: Pcm) -> float:
    """Seconds of sound in a window, pauses left out."""
    if len(pcm) < VOICED_FRAME_SAMPLES:
        return 0.0
    return (len(voiced_samples(pcm)) - 1) * VOICED_FRAME_SAMPLES / SAMPLE_RATE_HZ
