"""Each detector on the committed clips: speech is found, noise and silence are not taken for it."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from cohear_server.core.jobs import SAMPLE_RATE_HZ
from cohear_server.core.vad import FRAME_SAMPLES, CascadeVad, EnergyVad, VadName, level, make_vad
from cohear_server.errors import ServerError
from cohear_server.models.silero import load_silero

from ..samples import Sample, load_samples


def frames_of(pcm: np.ndarray) -> np.ndarray:
    return pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


def voiced_run(probabilities: np.ndarray) -> int:
    """The most voiced frames within any 200 ms."""
    return int(np.convolve(probabilities >= 0.5, np.ones(10)).max())


@pytest.mark.parametrize("name", get_args(VadName))
@pytest.mark.parametrize("sample", load_samples(speech=True), ids=str)
def test_speech_is_found(name: VadName, sample: Sample) -> None:
    assert voiced_run(make_vad(name, load_silero()).push(frames_of(sample.pcm16k()))) >= 4


@pytest.mark.parametrize("sample", load_samples(speech=False), ids=str)
def test_the_default_takes_no_noise_for_speech(sample: Sample) -> None:
    assert voiced_run(CascadeVad(load_silero()).push(frames_of(sample.pcm16k()))) < 4


@pytest.mark.parametrize("word", [(3.2, 4.4), (3.3, 3.7)], ids=["ask not", "ask"])
def test_the_default_hears_a_short_word_alone(word: tuple[float, float]) -> None:
    start, end = (int(at_s * SAMPLE_RATE_HZ) for at_s in word)
    (speech,) = (sample for sample in load_samples(speech=True) if sample.path.stem == "jfk")
    quiet = np.random.default_rng(1).normal(0, 10, (2, SAMPLE_RATE_HZ)).astype(np.int16)
    pcm = np.concatenate([quiet[0], speech.pcm16k()[start:end], quiet[1]])
    assert voiced_run(CascadeVad(load_silero()).push(frames_of(pcm))) >= 4


@pytest.mark.parametrize("name", get_args(VadName))
def test_digital_silence_is_silence(name: VadName) -> None:
    assert voiced_run(make_vad(name, load_silero()).push(np.zeros((500, FRAME_SAMPLES), np.int16))) == 0


@pytest.mark.parametrize("name", get_args(VadName))
def test_how_frames_are_grouped_does_not_matter(name: VadName) -> None:
    frames = frames_of(load_samples(speech=True, at_least_s=2.0)[0].pcm16k())
    whole = make_vad(name, load_silero()).push(frames)
    vad = make_vad(name, load_silero())
    assert np.allclose(whole, np.concatenate([vad.push(frames[i : i + 7]) for i in range(0, len(frames), 7)]))


def test_energy_follows_the_noise_floor() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 300, (3_000, FRAME_SAMPLES)).astype(np.int16)
    assert EnergyVad().push(noise)[-100:].max() < 0.5


def test_level_in_db_of_full_scale() -> None:
    loud = np.full((1, FRAME_SAMPLES), 32767, np.int16)
    assert level(loud)[0] == pytest.approx(0, abs=0.01)
    assert level(np.zeros((1, FRAME_SAMPLES), np.int16))[0] == pytest.approx(-96)


@pytest.mark.parametrize("name", ["cascade", "silero"])
def test_a_detector_without_its_network_is_refused(name: VadName) -> None:
    with pytest.raises(ServerError) as fault:
        make_vad(name)
    assert fault.value.code == "no_vad"
