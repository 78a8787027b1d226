from __future__ import annotations

import numpy as np
import pytest
from cohear_server.batch.speech import CHUNK_SAMPLES, RUN_CHUNKS, SileroDetector
from cohear_server.core.jobs import Pcm
from cohear_server.core.vad import Memory, Probabilities
from cohear_server.models.silero import load_silero
from numpy.typing import NDArray

from tests.samples import load_samples


class Network:
    """Says that everything is speech, and counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    def run(self, windows: NDArray[np.float32], memory: Memory) -> tuple[Probabilities, Memory]:
        self.runs += 1
        return np.ones(len(windows), np.float32), memory


@pytest.fixture
def network() -> Network:
    return Network()


def chunks(level: int) -> Pcm:
    return np.full((RUN_CHUNKS, CHUNK_SAMPLES), level, np.int16)


def test_steady_speech_is_heard_by_the_network_every_other_run(network: Network) -> None:
    detector = SileroDetector(network)
    found = detector.push(np.concatenate([chunks(1000)] * 6))
    assert network.runs == 3
    assert found.min() > 0.5


def test_a_pause_in_a_run_that_is_judged_by_level_is_found(network: Network) -> None:
    run = chunks(1000)
    run[20:30] = 10
    found = SileroDetector(network).push(np.concatenate([chunks(1000), run]))
    assert network.runs == 1
    assert np.flatnonzero(found < 0.5).tolist() == list(range(RUN_CHUNKS + 20, RUN_CHUNKS + 30))


def test_what_changes_its_level_is_asked_of_the_network(network: Network) -> None:
    SileroDetector(network).push(np.concatenate([chunks(1000), chunks(100)]))
    assert network.runs == 2


def test_silence_costs_nothing(network: Network) -> None:
    assert SileroDetector(network).push(chunks(0)).max() == 0
    assert network.runs == 0


@pytest.mark.parametrize("spoken", [True, False])
def test_real_speech_and_real_noise(spoken: bool) -> None:
    for sample in load_samples(speech=spoken, at_least_s=2.0):
        pcm = sample.pcm16k()
        whole = pcm[: len(pcm) // CHUNK_SAMPLES * CHUNK_SAMPLES].reshape(-1, CHUNK_SAMPLES)
        share = float((SileroDetector(load_silero()).push(whole) > 0.5).mean())
        assert share > 0.3 if spoken else share < 0.2, sample
