from __future__ import annotations

import numpy as np
import pytest
from cohear_server.core.resampler import Resampler


def tone(rate_hz: int, hz: float = 440.0, level: float = 9_000.0) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(rate_hz) / rate_hz)).astype(np.int16)


def resampled(pcm: np.ndarray, rate_hz: int, piece: int) -> np.ndarray:
    resampler = Resampler(rate_hz)
    parts = [resampler.push(pcm[at : at + piece]) for at in range(0, len(pcm), piece)]
    return np.concatenate([*parts, resampler.end()])


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_the_same_audio_gives_the_same_samples_in_whatever_pieces(rate_hz: int) -> None:
    pcm = tone(rate_hz) + np.random.default_rng(0).normal(0, 500, rate_hz).astype(np.int16)
    whole = resampled(pcm, rate_hz, rate_hz)
    assert whole.dtype == np.int16
    for piece in (rate_hz, rate_hz // 50, 1_001):
        assert np.array_equal(resampled(pcm, rate_hz, piece), whole)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
def test_a_tone_stays_what_it_is(rate_hz: int) -> None:
    middle = slice(1_000, 15_000)
    assert np.abs(resampled(tone(rate_hz), rate_hz, rate_hz)[middle] - tone(16_000)[middle]).max() <= 5


def test_what_overshoots_is_cut_and_does_not_wrap() -> None:
    square = np.where(np.arange(48_000) // 300 % 2, 32_767, -32_768).astype(np.int16)
    out, wanted = resampled(square, 48_000, 960), square[::3]
    off_the_edges = np.abs(np.arange(16_000) % 100 - 50) < 45
    assert np.array_equal(out[off_the_edges] > 0, wanted[off_the_edges] > 0)
    assert (out.min(), out.max()) == (-32_768, 32_767)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 17_377])
def test_another_one_goes_on_from_the_tail_with_the_same_samples(rate_hz: int) -> None:
    """Not to the bit: libsoxr adds in another order. None is missing, and none comes twice."""
    pcm = np.random.default_rng(1).normal(0, 4_000, 3 * rate_hz).astype(np.int16)
    whole = resampled(pcm, rate_hz, rate_hz // 50)
    for cut in (rate_hz // 50, rate_hz, 2 * rate_hz + 77):
        first = Resampler(rate_hz)
        begun = [first.push(pcm[at : min(at + 960, cut)]) for at in range(0, cut, 960)]
        second = Resampler.resumed(rate_hz, first.tail())
        parts = [*begun, second.push(pcm[cut:]), second.end()]
        joined = np.concatenate(parts)
        assert abs(len(joined) - len(whole)) <= 1
        both = min(len(joined), len(whole))
        assert np.abs(joined[:both].astype(int) - whole[:both]).max() <= 1
