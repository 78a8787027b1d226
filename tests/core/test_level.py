"""Quiet speech is raised, noise is not, and the size of the pieces does not matter."""

from __future__ import annotations

import numpy as np
import pytest
from cohear_server.core.level import AIM_DB, LOOK_FRAMES, Level, LevelState, amplified, raised
from cohear_server.core.vad import FRAME_SAMPLES, level, power
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

RNG = np.random.default_rng(5)
Frames = NDArray[np.int16]


def noise(seconds: float, at_db: float) -> Frames:
    count = int(50 * seconds)
    return np.rint(RNG.normal(0, 32768 * 10 ** (at_db / 20), (count, FRAME_SAMPLES))).astype(np.int16)


def talk(seconds: float, at_db: float) -> Frames:
    """Syllables of 120 ms with as much of low noise between them."""
    frames = noise(seconds, at_db)
    frames[np.arange(len(frames)) // 6 % 2 == 1] //= 10
    return frames


def heard_db(frames: Frames) -> float:
    """The level of the loud frames of the last second, as a detector would hear them."""
    gains = Level().gains(power(frames))
    out = frames if gains is None else amplified(frames, gains[:, None])
    return float(np.sort(level(out[-50:]))[40])


@pytest.mark.parametrize("at_db", [-50, -60, -70, -78])
def test_quiet_speech_is_raised_within_a_second(at_db: float) -> None:
    assert heard_db(talk(1.5, at_db)) == pytest.approx(AIM_DB, abs=3)


def test_quiet_speech_after_loud_speech_is_raised_within_seconds() -> None:
    assert heard_db(np.concatenate([talk(3, -20), talk(9, -65)])) == pytest.approx(AIM_DB, abs=3)


@pytest.mark.parametrize("at_db", [-45, -60, -75])
def test_a_hiss_stays_as_quiet_as_it_is(at_db: float) -> None:
    assert heard_db(noise(3, at_db)) == pytest.approx(at_db, abs=1)
    after_speech = np.concatenate([talk(3, -20), noise(12, at_db)])
    assert heard_db(after_speech) == pytest.approx(at_db, abs=1)


def test_speech_of_usual_loudness_passes_sample_by_sample() -> None:
    loud = talk(5, -30)
    assert Level().gains(power(loud)) is None
    window = loud.ravel()
    assert raised(window) is window


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_pieces_of_any_size_have_the_same_gains_also_elsewhere(sizes: list[int]) -> None:
    powers = power(talk(sum(sizes) / 50, -60))
    whole = Level().gains(powers)
    here = Level()
    gains: list[float] = []
    for end in np.cumsum(sizes):
        piece = powers[len(gains) : end]
        found = here.gains(piece)
        gains += [1.0] * len(piece) if found is None else found.tolist()
        here = Level(here.state())
    assert gains == ([1.0] * len(powers) if whole is None else whole.tolist())
    assert len(here.state().powers) < LOOK_FRAMES


@given(st.floats(-96, 0), st.floats(-96, 0), st.lists(st.floats(0, 1), max_size=40))
def test_a_gain_is_never_below_one_nor_beyond_fifty_decibels(
    loud_db: float, low_db: float, powers: list[float]
) -> None:
    follower = Level(LevelState(loud_db, low_db))
    gains = follower.gains(np.array(powers, np.float32))
    assert gains is None or (gains.min() >= 1.0 and gains.max() <= 10**2.5 + 0.01)


@pytest.mark.parametrize("at_db", [-50, -70])
def test_a_window_is_raised_as_a_whole(at_db: float) -> None:
    window = talk(2, at_db).ravel()
    louder = raised(window)
    assert float(np.sort(level(louder.reshape(-1, FRAME_SAMPLES)))[90]) == pytest.approx(AIM_DB, abs=1)
    share = louder[window != 0] / window[window != 0]
    assert share.max() == pytest.approx(share.min(), rel=0.6), "one gain for all of it, but for rounding"


def test_a_short_loud_word_in_a_long_pause_is_no_quiet_window() -> None:
    window = np.concatenate([noise(2, -70), noise(0.08, -25), noise(2, -70)]).ravel()
    assert raised(window) is window


def test_the_steps_of_samples_are_not_raised() -> None:
    steps = RNG.integers(0, 2, 16_000).astype(np.int16)
    assert raised(steps) is steps
    assert Level(LevelState(-96.0, -96.0)).gains(power(steps.reshape(-1, FRAME_SAMPLES))) is None


def test_windows_of_nothing_are_left_alone() -> None:
    for window in (np.zeros(0, np.int16), np.zeros(100, np.int16), np.full(319, 7, np.int16)):
        assert raised(window) is window


def test_what_is_too_loud_is_limited() -> None:
    assert amplified(np.array([-32768, 20_000], np.int16), 4.0).tolist() == [-32768, 32767]
