"""What decoding costs: curves through measured points, put right by what is decoded."""

from __future__ import annotations

import numpy as np
import pytest
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, JobKind, SecondTry
from cohear_server.errors import ServerError
from cohear_server.scheduling.costs import CostBook, Costs, Curve, Measured
from cohear_server.scheduling.tuning import LONGEST_S, PARTIAL_S, Tuner, Tuning, tuned, worthwhile
from hypothesis import given
from hypothesis import strategies as st

SIZES = (1, 2, 4, 8, 16)


def machine(*audio_s_a_second: float, steps: int = 22) -> Costs:
    """From audio seconds a second in batches of 1, 2, 4, ... windows of 6 s; a third is the encoder's."""
    encode_s = 6 / audio_s_a_second[0] / 3
    batches = [
        Measured(n, 6.0, 6 * n / speed, 2 * n / speed, steps) for n, speed in zip(SIZES, audio_s_a_second, strict=True)
    ]
    return Costs.of([*batches, Measured(1, 2.0, encode_s / 3 + batches[0].total_s / 4, encode_s / 3, steps // 3)])


GAINS = (92.0, 117.0, 152.0, 180.0, 189.0)
GAINS_LITTLE = (89.0, 97.0, 115.0, 118.0, 110.0)
FLAT = (20.0, 39.0, 77.0, 150.0, 280.0)


def batch(size: int, window_s: float, *, word_times: bool = False) -> list[DecodeJob]:
    pcm = np.ones(int(window_s * SAMPLE_RATE_HZ), np.int16)
    chosen = DecodeOptions("m", word_times=word_times)
    return [DecodeJob(str(i), "s", "t", 0, pcm, JobKind.PARTIAL, 0.4, chosen) for i in range(size)]


def results(jobs: list[DecodeJob], steps: int = 0, encode_s: float = 0.0) -> list[DecodeResult]:
    return [DecodeResult(job.id, steps=steps, encode_ms=1000 * encode_s) for job in jobs]


def test_a_curve_goes_through_its_points_and_on() -> None:
    curve = Curve({1: 10.0, 2: 12.0, 4: 20.0})
    assert [curve.at(x) for x in (1, 1.5, 2, 3, 4, 5)] == [10, 11, 12, 16, 20, 24]
    assert Curve({3: 5.0}).at(100) == 5


@given(
    st.dictionaries(st.floats(1, 64), st.floats(0, 100), min_size=1, max_size=8),
    st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 10)), max_size=20),
)
def test_a_curve_is_positive_whatever_it_learns(points: dict[float, float], learnt: list[tuple[float, float]]) -> None:
    curve = Curve(points)
    for x, ratio in learnt:
        curve.learn(x, ratio)
        assert curve.at(x) > 0


@pytest.mark.parametrize("speeds", [GAINS, GAINS_LITTLE, FLAT])
def test_what_was_measured_is_expected(speeds: tuple[float, ...]) -> None:
    costs = machine(*speeds)
    for size, speed in zip(SIZES, speeds, strict=True):
        assert costs.seconds(size, 6.0) == pytest.approx(6 * size / speed, rel=0.05)


def test_the_longest_text_and_the_word_times_count() -> None:
    costs = machine(*GAINS)
    short, long = batch(3, 2.0), batch(1, 6.0)
    assert costs.of_batch([*short, *long]) > costs.of_batch(short) + 0.5 * (
        costs.of_batch(long) - costs.of_batch(short[:1])
    )
    assert costs.of_batch(batch(2, 6.0, word_times=True)) > costs.of_batch(batch(2, 6.0))


@pytest.mark.parametrize("factor", [0.2, 0.5, 2.0, 6.0])
def test_a_machine_that_was_measured_at_a_bad_moment_is_known_soon(factor: float) -> None:
    """It learns from partials alone and alone, and knows of finals and of batches too."""
    real, guessed = machine(*GAINS), machine(*(speed * factor for speed in GAINS))
    for _ in range(80):
        jobs = batch(1, 3.0)
        guessed.observe(jobs, results(jobs), real.of_batch(jobs))
    for size, window_s in ((1, 3.0), (8, 3.0), (1, 6.0), (4, 6.0)):
        assert guessed.seconds(size, window_s) == pytest.approx(real.seconds(size, window_s), rel=0.4)


def test_the_shape_is_learnt_too() -> None:
    """Batches that gain less than they did at warm-up."""
    real, guessed = machine(*GAINS_LITTLE), machine(*GAINS)
    for i in range(3_000):
        jobs = batch(SIZES[i % 5], (2.0, 6.0)[i // 5 % 2])
        guessed.observe(jobs, results(jobs), real.of_batch(jobs))
    for size in SIZES:
        assert guessed.seconds(size, 3.0) == pytest.approx(real.seconds(size, 3.0), rel=0.1)
    assert worthwhile(guessed, 64) == worthwhile(real, 64)


def test_how_much_people_say_is_learnt_where_the_engine_tells() -> None:
    costs = machine(*GAINS)
    for _ in range(60):
        jobs = batch(2, 3.0)
        costs.observe(jobs, results(jobs, steps=17), costs.of_batch(jobs))
    assert costs.tokens_a_second == pytest.approx(5.0, rel=0.05)


def test_one_batch_that_took_very_long_changes_little() -> None:
    costs = machine(*GAINS)
    before = costs.seconds(8, 3.0)
    jobs = batch(8, 3.0)
    costs.observe(jobs, results(jobs), 60.0)
    assert costs.seconds(8, 3.0) < 1.15 * before


@pytest.mark.parametrize("odd", ["known", "failed", "second try"])
def test_nothing_is_learnt_from_what_was_not_decoded_as_usual(odd: str) -> None:
    costs = machine(*GAINS)
    jobs = batch(1, 3.0)
    told = results(jobs)
    if odd == "second try":
        again = SecondTry(told[0], 1)
        jobs = [DecodeJob("0", "s", "t", 0, jobs[0].pcm, JobKind.FINAL, 0.4, jobs[0].options, again)]
    elif odd == "known":
        told = [DecodeResult("0", known=True)]
    else:
        told = [DecodeResult("0", error=ServerError("decode_failed", "it failed"))]
    before = costs.report()
    costs.observe(jobs, told, 9.0)
    assert costs.report() == before


def test_a_backend_that_takes_no_time_has_costs_too() -> None:
    costs = Costs.of([Measured(n, 2.0, 0.0) for n in SIZES] + [Measured(1, 6.0, 0.0)])
    assert 0 < costs.seconds(8, 3.0) < 1e-3


def test_batches_are_as_large_as_they_are_worth() -> None:
    sizes = [worthwhile(machine(*speeds), 64) for speeds in (GAINS, GAINS_LITTLE, FLAT)]
    assert sizes[0] > sizes[1]
    assert sizes[2] >= 16
    assert worthwhile(machine(*GAINS), 2) == 2, "the operator's limit"


@given(st.floats(0.001, 1000))
def test_tuning_is_of_use_on_any_machine(factor: float) -> None:
    found = tuned(machine(*(factor * speed for speed in GAINS)))
    assert 1 <= found.few <= found.batch
    assert found.slack_s >= 0
    assert found.urgent_s >= 0.1, "a final whose endpoint is known is urgent"


def test_a_slow_machine_has_batches_that_end_in_time() -> None:
    slow = machine(*(0.2 * speed for speed in GAINS))
    size = worthwhile(slow, 64)
    assert size == 1 or slow.seconds(size, PARTIAL_S) <= LONGEST_S


def test_what_holds_follows_the_costs_unless_set_by_hand() -> None:
    book = CostBook()
    tuner, hand = Tuner(book), Tuning(3, 2, 0.1, 0.1)
    book.enter("m", machine(*GAINS_LITTLE), main=True)
    before = tuner.now
    assert before == tuned(book.main)
    book.enter("m", machine(*FLAT), main=True)
    assert tuner.now.batch > before.batch
    assert Tuner(book, by_hand=hand).now is hand


def test_each_model_has_its_costs_and_an_unknown_one_next_to_none() -> None:
    book = CostBook()
    book.enter("m", machine(*GAINS), main=True)
    jobs = batch(1, 3.0)
    assert book.of_batch(jobs) == book.main.of_batch(jobs)
    assert book.of("another").seconds(8, 3.0) < 1e-3
    book.observe(
        [DecodeJob("0", "s", "t", 0, jobs[0].pcm, JobKind.FINAL, 0.4, DecodeOptions("another"))], results(jobs), 9.0
    )
    assert book.of("another").seconds(8, 3.0) < 1e-3
    assert set(book.report()) == {"m"}
