from __future__ import annotations

import numpy as np
import pytest
from cohear_client.reading.mixing import Mixer
from cohear_client.reading.sound import Wave
from hypothesis import given
from hypothesis import strategies as st

RATE_HZ = 16_000
SURROUND = ("FL", "FR", "FC", "LFE", "BL", "BR")


def voice(seconds: float = 8.0, seed: int = 0) -> Wave:
    """Noise that comes and goes four times a second, as syllables do."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    syllables = np.clip(np.sin(2 * np.pi * 4 * time_s), 0, None)
    return np.asarray(0.1 * rng.standard_normal(len(time_s)) * syllables, np.float32)


def hum(level: float, seconds: float = 8.0, seed: int = 9) -> Wave:
    return (level * np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ))).astype(np.float32)


def mixed(*channels: Wave, roles: tuple[str, ...] = (), block: int = 8_000) -> Wave:
    sides = np.stack(channels, axis=1)
    mixer = Mixer(len(channels), RATE_HZ, roles)
    return np.concatenate([mixer.push(sides[at : at + block]) for at in range(0, len(sides), block)])


def share(mix: Wave, of: Wave) -> float:
    """How much of a signal is in the mix, as amplitude, whichever way up."""
    return abs(float(mix @ of) / float(of @ of))


@pytest.mark.parametrize("block", [320, 1_600, 8_000, 64_000])
def test_alike_channels_come_through_as_they_are(block: int) -> None:
    speech = voice()
    assert np.array_equal(mixed(speech, speech, speech, block=block), speech)


@pytest.mark.parametrize("block", [320, 1_600, 8_000, 64_000])
@pytest.mark.parametrize("level", [1.0, 0.9, 0.5])
def test_a_voice_that_is_inverted_in_one_channel_is_heard(level: float, block: int) -> None:
    speech = voice()
    assert share(mixed(speech, -level * speech, block=block), speech) > 0.7


def test_inversion_that_begins_in_the_middle_is_followed() -> None:
    speech = voice()
    half = len(speech) // 2
    other = np.concatenate([speech[:half], -speech[half:]])
    mix = mixed(speech, other)
    assert share(mix[:half], speech[:half]) > 0.9
    assert share(mix[half + RATE_HZ :], speech[half + RATE_HZ :]) > 0.9


def test_a_voice_in_one_channel_is_not_halved_by_silence_or_noise_in_the_other() -> None:
    speech = voice()
    assert share(mixed(speech, np.zeros_like(speech)), speech) > 0.95
    mix = mixed(hum(0.2), speech)
    assert share(mix, speech) > 0.9
    assert share(mix, hum(0.2)) < 0.1


def test_two_people_on_two_channels_are_both_heard_however_rarely_one_speaks() -> None:
    first, second = voice(60.0, 1), 0.2 * voice(60.0, 2)
    first[50 * RATE_HZ :] = 0
    second[: 50 * RATE_HZ] = 0
    mix = mixed(first, second)
    assert share(mix[: 50 * RATE_HZ], first[: 50 * RATE_HZ]) > 0.4
    assert share(mix[50 * RATE_HZ :], second[50 * RATE_HZ :]) > 0.4


def test_the_centre_of_a_film_is_not_drowned_by_what_is_beside_it() -> None:
    speech, music = voice(seed=1), 4 * voice(seed=2)
    none = np.zeros_like(speech)
    mix = mixed(music, music[::-1].copy(), speech, none, music, music, roles=SURROUND)
    assert share(mix, speech) > 0.5
    assert share(mix, music) < 0.15


def test_a_film_with_an_empty_centre_is_heard_from_its_sides() -> None:
    speech = voice()
    none = np.zeros_like(speech)
    assert share(mixed(speech, speech, none, none, none, none, roles=SURROUND), speech) > 0.9


@given(channels=st.integers(2, 8), sizes=st.lists(st.integers(0, 9_000), max_size=8), seed=st.integers(0, 99))
def test_any_channels_in_any_blocks_give_as_many_samples_no_louder(channels: int, sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    mixer = Mixer(channels, int(rng.choice([8_000, 16_000, 48_000])))
    for size in sizes:
        block = (rng.choice([-1, 0, 1]) * rng.uniform(-1, 1, (size, channels))).astype(np.float32)
        mix = mixer.push(block)
        assert len(mix) == size
        assert np.isfinite(mix).all()
        assert np.abs(mix).max(initial=0.0) <= 1.001
