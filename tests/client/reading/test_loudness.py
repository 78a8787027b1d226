from __future__ import annotations

import numpy as np
import pytest
from cohear_client.reading.loudness import AIM_DB, FALL_DB_PER_S, Loudness
from cohear_client.reading.sound import Wave
from hypothesis import given, settings
from hypothesis import strategies as st

from .test_mixing import RATE_HZ, hum, voice

TEN_DB = 10 ** (10 / 20)


def at(wave: Wave, level_db: float) -> Wave:
    """The same at another level of its loud parts."""
    return wave * np.float32(10 ** ((level_db - loud_db(wave)) / 20))


def loud_db(wave: Wave) -> float:
    frames = wave[: len(wave) // 320 * 320].reshape(-1, 320)
    return float(np.percentile(10 * np.log10(np.square(frames).mean(1) + 1e-12), 90))


def heard(wave: Wave, *, from_quiet: bool = True, block: int = 8_000) -> Wave:
    loudness = Loudness(RATE_HZ, from_quiet=from_quiet)
    return np.concatenate([loudness.push(wave[at : at + block]) for at in range(0, len(wave), block)])


@pytest.mark.parametrize("block", [320, 1_000, 8_000, 64_000])
@pytest.mark.parametrize("level_db", [-10.0, -25.0, AIM_DB + 5])
def test_speech_of_usual_loudness_passes_sample_by_sample(level_db: float, block: int) -> None:
    speech = at(voice(), level_db)
    assert np.array_equal(heard(speech, from_quiet=False, block=block), speech)


@pytest.mark.parametrize("level_db", [-55.0, -70.0, -85.0])
def test_a_quiet_file_is_raised_from_its_beginning(level_db: float) -> None:
    raised = heard(at(voice(), level_db) + 1e-6 * hum(1.0))
    assert loud_db(raised[:RATE_HZ]) == pytest.approx(AIM_DB, abs=3)
    assert loud_db(raised[-RATE_HZ:]) == pytest.approx(AIM_DB, abs=3)


def test_a_quiet_stream_is_raised_within_seconds() -> None:
    raised = heard(at(voice(10.0), -75.0), from_quiet=False, block=320)
    seconds = round((AIM_DB + 75) / FALL_DB_PER_S) + 1
    assert loud_db(raised[seconds * RATE_HZ :]) == pytest.approx(AIM_DB, abs=3)


def test_a_hum_or_hiss_stays_as_quiet_as_it_is() -> None:
    hiss = hum(0.001)
    assert np.array_equal(heard(hiss), hiss)
    assert not heard(np.zeros(RATE_HZ, np.float32)).any()


def test_loud_speech_after_quiet_is_never_raised() -> None:
    quiet, loud = at(voice(), -70.0), at(voice(seed=1), -15.0)
    raised = heard(np.concatenate([quiet, loud]))
    assert np.abs(raised).max() <= np.abs(loud).max() * TEN_DB


@given(sizes=st.lists(st.integers(0, 20_000), max_size=8), level=st.floats(0, 1), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_any_pieces_give_as_many_samples_never_softer(sizes: list[int], level: float, seed: int) -> None:
    loudness, rng = Loudness(RATE_HZ, from_quiet=bool(seed % 2)), np.random.default_rng(seed)
    for size in sizes:
        piece = (level * rng.uniform(-1, 1, size)).astype(np.float32)
        raised = loudness.push(piece)
        assert len(raised) == size
        assert (np.abs(raised) >= np.abs(piece)).all()
        assert np.isfinite(raised).all()
