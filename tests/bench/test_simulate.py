"""A small form of the comparison: the scheduler's own tuning against some by hand, on each machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from cohear_server.scheduling.tuning import Tuning
from simulate import NEAR, grid, most_streams
from simulated import MACHINES, Machine, Run, Speakers
from voice import read_spoken

SAMPLES = Path(__file__).parents[2] / "audio_samples"
BY_HAND = (Tuning(2, 2, 0.25, 0.12, 9.0), Tuning(4, 4, 0.25, 0.12, 9.0), Tuning(8, 8, 0.25, 0.12, 9.0))
CPUS = [name for name in MACHINES if name != "gpu"]


@pytest.fixture(scope="module")
def speakers() -> Speakers:
    return Speakers(read_spoken(SAMPLES, 6, "en"))


def figures(speakers: Speakers, machine: Machine, streams: int) -> dict[str, float]:
    run = Run(machine, speakers, streams)
    run.run()
    return run.figures()


@pytest.mark.parametrize("name", list(MACHINES))
def test_more_streams_wait_longer_in_larger_batches_and_a_run_can_be_repeated(speakers: Speakers, name: str) -> None:
    few, many = figures(speakers, MACHINES[name], 2), figures(speakers, MACHINES[name], 24)
    assert few == figures(speakers, MACHINES[name], 2)
    assert many["cursor_lag"] > few["cursor_lag"] > 0
    assert many["batch"] > few["batch"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", CPUS)
def test_what_is_found_from_the_costs_is_near_the_best_by_hand(speakers: Speakers, name: str) -> None:
    by_hand = max(most_streams(MACHINES[name], speakers, tuning) for tuning in BY_HAND)
    assert most_streams(MACHINES[name], speakers) >= NEAR * by_hand > 0


def test_by_hand_are_tried_only_batches_that_a_machine_has_figures_for() -> None:
    for machine in MACHINES.values():
        assert 1 < max(tuning.batch for tuning in grid(machine)) <= max(machine.batch_s)
