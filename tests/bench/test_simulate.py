"""A small form of the comparison: the scheduler's own tuning against some by hand, on each machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from cohear_server.scheduling.tuning import Tuning
from measures import percentile
from simulate import grid
from simulated import FILE_WINDOW_S, MACHINES, SECONDS, Run, Speakers, outcome
from voice import read_spoken

SAMPLES = Path(__file__).parents[2] / "audio_samples"
BY_HAND = [Tuning(size, size, 0.25, 0.12, 9.0) for size in (2, 4, 8, 16)]


@pytest.fixture(scope="module")
def speakers() -> Speakers:
    return Speakers(read_spoken(SAMPLES, 6, "en"))


@pytest.mark.parametrize("name", list(MACHINES))
def test_more_streams_wait_longer_in_larger_batches_and_a_run_can_be_repeated(speakers: Speakers, name: str) -> None:
    few, many = (outcome(MACHINES[name], speakers, streams, seeds=1) for streams in (2, 24))
    assert few == outcome(MACHINES[name], speakers, 2, seeds=1)
    assert many.p95_ms["cursor_lag"] > few.p95_ms["cursor_lag"] > 0
    assert many.batch > few.batch > 0
    assert few.kept


@pytest.mark.slow
@pytest.mark.parametrize(("name", "streams"), [("gains from batches", 40), ("gains little", 20), ("gpu", 40)])
def test_what_is_found_from_the_costs_is_near_the_best_by_hand(speakers: Speakers, name: str, streams: int) -> None:
    """At a number of streams near the limit it strains the promise little more than the best of some by hand."""
    best = min(outcome(MACHINES[name], speakers, streams, tuning, seeds=1).strain for tuning in BY_HAND)
    assert outcome(MACHINES[name], speakers, streams, seeds=1).strain < 1.15 * max(best, 0.8)


@pytest.mark.parametrize("name", ["gains from batches", "gains little"])
def test_files_take_what_ten_streams_leave_and_their_p95_hardly_moves(speakers: Speakers, name: str) -> None:
    p95_ms: list[dict[str, float]] = []
    for waiting in (0, 32):
        waits: dict[str, list[float]] = {"cursor_lag": [], "final_over_endpoint": []}
        for seed in range(6):
            run = Run(MACHINES[name], speakers, 10, seed=seed)
            run.files.waiting = waiting
            run.run()
            for kind, values in run.waits().items():
                waits.get(kind, []).extend(values)
        p95_ms.append({kind: percentile(values, 0.95) for kind, values in waits.items()})
    alone_ms, beside_ms = p95_ms
    for kind in alone_ms:
        assert beside_ms[kind] <= 1.1 * alone_ms[kind], kind
    # one of two slots is theirs, whenever nothing of a stream waits
    window_s = sum(FILE_WINDOW_S) / 2
    slot_s = run.files.audio_s / window_s * MACHINES[name].contention * run.costs.main.seconds(1, window_s)
    assert slot_s > 0.65 * SECONDS


def test_by_hand_are_tried_only_batches_that_a_machine_has_figures_for() -> None:
    for machine in MACHINES.values():
        assert 1 < max(tuning.batch for tuning in grid(machine)) <= max(machine.batch_s)
