from __future__ import annotations

import numpy as np
from cohear_server.engine.features import padded_length, voiced_samples, waveform


def test_silence_is_added_up_to_30_s() -> None:
    assert padded_length(16_000, 500, 1) == 24_000
    assert padded_length(479_000, 1000, 1) == 480_000
    assert padded_length(16_000, 500, 32_000) == 32_000


def test_waveform_is_scaled_and_padded() -> None:
    wave = waveform(np.array([-32768, 16384], np.int16), 4)
    assert wave.tolist() == [-1.0, 0.5, 0.0, 0.0]
    assert wave.dtype == np.float32


def test_voiced_is_where_the_sound_is() -> None:
    pcm = np.random.default_rng(0).integers(-20, 20, 48_000).astype(np.int16)
    pcm[16_000:32_000] = 8000
    assert voiced_samples(pcm) == [*range(16_000, 32_000, 320), 32_000]


def test_without_sound_all_of_the_window_counts() -> None:
    assert voiced_samples(np.zeros(16_000, np.int16)) == [0, 16_000]
    assert voiced_samples(np.zeros(100, np.int16)) == [0, 100]
