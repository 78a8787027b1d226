"""The ladder and admission in numbers: streams that cost what we say, seconds that we count ourselves."""

from __future__ import annotations

import math
from itertools import groupby

import numpy as np
import pytest
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, JobKind
from cohear_server.scheduling.capacity import Capacity, CapacityOptions
from cohear_server.scheduling.costs import CostBook, Costs, Curve
from cohear_server.scheduling.dispatcher import DecodedBatch
from cohear_server.scheduling.ladder import Rung
from cohear_server.scheduling.tuning import Tuner
from hypothesis import given
from hypothesis import strategies as st

FINALS, PARTIALS = 0.02, 0.04
"""engine seconds in a second of one stream"""
INTERVAL_S = 0.4
PARTIAL_S = INTERVAL_S * PARTIALS
ELASTIC = INTERVAL_S / (1.0 - 2 * PARTIAL_S)
USUAL = FINALS + ELASTIC * PARTIALS
STREAMS = int(1 / USUAL)
"""that fill the engine"""
SMALLER = 0.4
"""cost of a partial of the smaller model, as a share of the main model's"""
WITH, WITHOUT = list(Rung), [Rung.USUAL, Rung.SLOWER, Rung.NO_PARTIALS]


def costing(factor: float = 1.0) -> Costs:
    """Windows of 3 s take as long as a partial should, those of 6 s with word times as a final."""
    encode = Curve({3.0: factor * PARTIAL_S, 6.0: factor * 4 * FINALS / 1.6})
    return Costs(encode, Curve({1.0: 1.0, 2.0: 2.0}), Curve({1.0: 1e-7, 2.0: 2e-7}))


def capacity(*, smaller: float | None = None, factor: float = 1.0, keep: float = 1.0, slots: int = 1) -> Capacity:
    costs = CostBook()
    costs.enter("main", costing(factor), main=True)
    if smaller is not None:
        costs.enter("small", costing(smaller * factor))
    made = Capacity(CapacityOptions(slots, INTERVAL_S, keep=keep), costs, Tuner(costs))
    if smaller is not None:
        made.has_smaller("small")
    return made


def decoded(
    session: str, kind: JobKind, cost_s: float, at_s: float, model: str = "main", waited_s: float = 0.0
) -> DecodedBatch:
    pcm = np.ones(3 * SAMPLE_RATE_HZ, np.int16)
    job = DecodeJob("j", session, "t", 0, pcm, kind, INTERVAL_S, DecodeOptions(model))
    return DecodedBatch([job], [DecodeResult("j")], [waited_s], cost_s, at_s)


class Speakers:
    """So many streams that all speak: partials and a final are charged, as their costs say."""

    def __init__(self, made: Capacity, smaller: float = SMALLER, moved: bool = True) -> None:
        self.capacity = made
        self.smaller = smaller
        """what partials really cost on that rung"""
        self.moved = moved
        """the smaller model knows their language"""
        self.now_s = 0.0
        self.count = 0

    def join(self, count: int) -> None:
        for _ in range(count):
            self.capacity.opened(f"s{self.count}", self.now_s)
            self.count += 1

    def leave(self, count: int) -> None:
        for _ in range(count):
            self.count -= 1
            self.capacity.closed(f"s{self.count}")

    def speak(self, seconds: float, each: float = 1.0) -> list[Rung]:
        """Every 0.25 s what was decoded is charged; `each`: how much of the time a stream speaks."""
        rungs = []
        for step in range(round(seconds / 0.25)):
            self.now_s += 0.25
            rung = self.capacity.rung
            one_in = {Rung.USUAL: 1, Rung.SLOWER: 2, Rung.SMALLER: 2}.get(rung)
            small = rung is Rung.SMALLER and self.moved
            cost_s = 0.25 * each * PARTIALS * (self.smaller if small else 1.0)
            for i in range(self.count):
                self.capacity.heard(f"s{i}", 0.25, self.now_s)
                self.capacity.decoded(decoded(f"s{i}", JobKind.FINAL, 0.25 * each * FINALS, self.now_s))
                if one_in and (step + i) % one_in == 0:
                    model = "small" if small else "main"
                    self.capacity.decoded(decoded(f"s{i}", JobKind.PARTIAL, cost_s, self.now_s, model))
            rungs.append(self.capacity.step(self.now_s))
        return rungs


@pytest.fixture
def speakers() -> Speakers:
    """Without a smaller model."""
    return Speakers(capacity())


@pytest.fixture
def tiered() -> Speakers:
    return Speakers(capacity(smaller=SMALLER))


def steps(rungs: list[Rung]) -> list[Rung]:
    """Each as often as it was taken."""
    return [rung for rung, _ in groupby(rungs)]


def test_an_engine_that_was_not_measured_admits() -> None:
    costs = CostBook()
    made = Capacity(CapacityOptions(), costs, Tuner(costs))
    assert made.fits(0.0) > 10_000
    assert made.admits(0.0)
    assert made.step(0.0) is Rung.USUAL


def test_the_expected_cost_bounds_streams_that_begin_all_at_once() -> None:
    made = capacity(slots=2)
    admitted = 0
    while made.admits(0.0):
        made.opened(str(admitted), 0.0)
        made.heard(str(admitted), 0.02, 0.0)
        admitted += 1
    assert admitted == pytest.approx(2 / USUAL, abs=1)


def test_a_stream_that_sends_nothing_asks_for_nothing(speakers: Speakers) -> None:
    speakers.join(8)
    speakers.speak(20)
    before = speakers.capacity.demand(speakers.now_s)
    for i in range(60):
        speakers.capacity.opened(f"silent {i}", speakers.now_s)
    speakers.speak(10)
    assert speakers.capacity.demand(speakers.now_s) == pytest.approx(before, rel=0.05)
    assert speakers.capacity.rung is Rung.USUAL
    assert speakers.capacity.admits(speakers.now_s)
    assert speakers.capacity.fits(speakers.now_s) > 60 + 8


def test_silent_streams_do_not_close_an_idle_server() -> None:
    made = capacity()
    for i in range(200):
        assert made.admits(0.0), i
        made.opened(str(i), 0.0)


def test_a_stream_that_fell_silent_asks_for_nothing_any_more(speakers: Speakers) -> None:
    speakers.join(8)
    speakers.speak(20)
    before = speakers.capacity.demand(speakers.now_s)
    assert speakers.capacity.demand(speakers.now_s + 20) < 0.02 * before


def test_streams_of_silence_ask_for_what_they_cost(speakers: Speakers) -> None:
    speakers.join(40)
    speakers.speak(20, each=0.0)
    assert speakers.capacity.demand(speakers.now_s) == 0
    assert speakers.capacity.admits(speakers.now_s)
    assert speakers.capacity.fits(speakers.now_s) == pytest.approx(40 + 4 / USUAL, rel=0.1), "others may speak"


def test_a_guess_gives_way_to_what_is_measured() -> None:
    """A machine that was busy when it was measured, six times as slow as it is."""
    made = capacity(factor=6.0)
    speakers = Speakers(made)
    guessed = made.fits(0.0)
    assert guessed < STREAMS / 4
    speakers.join(2)
    for _ in range(120):
        speakers.speak(0.25)
        made._costs.main.observe(*_partial_of(PARTIAL_S))
        made._costs.main.observe(*_partial_of(PARTIAL_S))
    assert made.fits(speakers.now_s) > 0.75 * STREAMS
    speakers.leave(2)
    assert made.fits(speakers.now_s) > 0.75 * STREAMS, "nobody is there, and it is still known"


def _partial_of(cost_s: float) -> tuple[list[DecodeJob], list[DecodeResult], float]:
    batch = decoded("s0", JobKind.PARTIAL, cost_s, 0.0)
    return list(batch.jobs), list(batch.results), cost_s


def test_admission_ends_where_the_engine_is_taken(speakers: Speakers) -> None:
    speakers.join(STREAMS - 2)
    speakers.speak(30)
    assert speakers.capacity.admits(speakers.now_s)
    speakers.join(2)
    speakers.speak(10)
    assert not speakers.capacity.admits(speakers.now_s)
    assert speakers.capacity.rung is Rung.USUAL
    assert speakers.capacity.demand(speakers.now_s) == pytest.approx(STREAMS * USUAL, rel=0.1)


def test_the_engine_is_not_filled_to_the_brim() -> None:
    half, whole = (Speakers(capacity(keep=keep)) for keep in (0.5, 1.0))
    for speakers in (half, whole):
        speakers.join(4)
        speakers.speak(20)
    assert half.capacity.fits(half.now_s) == pytest.approx(whole.capacity.fits(whole.now_s) / 2, rel=0.02)


def test_quiet_streams_leave_room_for_others(speakers: Speakers) -> None:
    speakers.join(STREAMS)
    speakers.speak(30, each=0.4)
    assert speakers.capacity.fits(speakers.now_s) == pytest.approx(STREAMS / 0.4, rel=0.2)


@pytest.mark.parametrize("wanted", [1, 2, 4])
def test_partials_that_waited_are_charged_as_wanted(wanted: int) -> None:
    """A busy engine decodes a part of the partials wanted: the demand is the same."""
    made = capacity()
    made.opened("a", 0.0)
    for i in range(1, 400):
        made.heard("a", 0.1, 0.1 * i)
        if i % wanted == 0:
            waited_s = (wanted - 1) * INTERVAL_S
            made.decoded(decoded("a", JobKind.PARTIAL, 0.1 * PARTIALS, 0.1 * i, waited_s=waited_s))
    assert made.demand(40.0) == pytest.approx(ELASTIC * PARTIALS, rel=0.1)


@pytest.mark.parametrize(
    ("share", "rung"),
    [(0.9, Rung.USUAL), (1.5, Rung.SLOWER), (2.2, Rung.NO_PARTIALS), (3.0, Rung.NO_PARTIALS)],
)
def test_each_rung_is_taken_at_its_load_and_kept(speakers: Speakers, share: float, rung: Rung) -> None:
    speakers.join(round(share * STREAMS))
    speakers.speak(20)
    assert set(speakers.speak(30)) == {rung}


@pytest.mark.parametrize(("share", "economy"), [(0.15, 0.0), (0.35, 0.5), (0.6, 1.0)])
def test_accuracy_is_traded_the_more_is_asked_for(speakers: Speakers, share: float, economy: float) -> None:
    speakers.join(round(share * STREAMS))
    assert speakers.capacity.economy(0.0) == 0.0, "nothing is known yet"
    speakers.speak(20)
    assert speakers.capacity.economy(speakers.now_s) == pytest.approx(economy, abs=0.12)


def test_rungs_come_one_by_one(speakers: Speakers) -> None:
    speakers.join(3 * STREAMS)
    assert steps(speakers.speak(20)) == WITHOUT
    speakers.leave(round(2.5 * STREAMS))
    assert steps(speakers.speak(20)) == WITHOUT[::-1]


def test_a_smaller_model_is_a_rung_of_its_own(tiered: Speakers) -> None:
    tiered.join(3 * STREAMS)
    assert steps(tiered.speak(20)) == WITH
    tiered.leave(round(2.5 * STREAMS))
    assert steps(tiered.speak(20)) == WITH[::-1]


@pytest.mark.parametrize(
    ("share", "rung"),
    [(0.9, Rung.USUAL), (1.5, Rung.SLOWER), (1.85, Rung.SMALLER), (2.6, Rung.NO_PARTIALS)],
)
def test_with_a_smaller_model_each_rung_has_its_load(tiered: Speakers, share: float, rung: Rung) -> None:
    tiered.join(round(share * STREAMS))
    tiered.speak(20)
    assert set(tiered.speak(60)) == {rung}


def test_what_is_asked_for_does_not_depend_on_the_rung(tiered: Speakers) -> None:
    speaking = round(1.85 * STREAMS)
    tiered.join(speaking)
    tiered.speak(30)
    assert tiered.capacity.rung is Rung.SMALLER
    asked = {
        Rung.USUAL: FINALS + ELASTIC * PARTIALS,
        Rung.SLOWER: FINALS + 0.5 * ELASTIC * PARTIALS,
        Rung.SMALLER: FINALS + 0.5 * SMALLER * ELASTIC * PARTIALS,
        Rung.NO_PARTIALS: FINALS,
    }
    for rung, each in asked.items():
        assert tiered.capacity.demand(tiered.now_s, rung) == pytest.approx(speaking * each, rel=0.1)
    assert tiered.capacity.demand(tiered.now_s) == tiered.capacity.demand(tiered.now_s, Rung.SMALLER)


def test_streams_that_stay_with_the_main_model_are_found_out() -> None:
    """None of them can be moved: the rung saves nothing, and the next is taken."""
    speakers = Speakers(capacity(smaller=SMALLER), moved=False)
    speakers.join(round(2.2 * STREAMS))
    assert steps(speakers.speak(40)) == WITH
    assert set(speakers.speak(30)) == {Rung.NO_PARTIALS}


@pytest.mark.parametrize("times", [2, 60])
def test_a_file_sent_fast_counts_as_one_speaker(speakers: Speakers, times: int) -> None:
    speakers.join(4)
    speakers.speak(10)
    before = speakers.capacity.demand(speakers.now_s)
    for i in range(4):
        speakers.capacity.heard(f"s{i}", times, speakers.now_s)
        speakers.capacity.decoded(decoded(f"s{i}", JobKind.FINAL, times * FINALS, speakers.now_s))
        speakers.capacity.decoded(decoded(f"s{i}", JobKind.PARTIAL, times * PARTIALS, speakers.now_s))
    assert speakers.capacity.demand(speakers.now_s) == pytest.approx(before, rel=0.05)


def test_a_short_burst_changes_nothing(speakers: Speakers) -> None:
    speakers.join(STREAMS)
    speakers.speak(10, each=0.5)
    assert set(speakers.speak(1.5, each=2.0)) == {Rung.USUAL}
    assert set(speakers.speak(5, each=0.5)) == {Rung.USUAL}


def test_recovery_takes_less_than_ten_seconds(speakers: Speakers) -> None:
    speakers.join(round(2.2 * STREAMS))
    speakers.speak(30)
    assert speakers.capacity.rung is Rung.NO_PARTIALS
    speakers.leave(round(2.0 * STREAMS))
    rungs = speakers.speak(10)
    assert rungs[-1] is Rung.USUAL
    assert rungs == sorted(rungs, reverse=True)
    assert speakers.capacity.admits(speakers.now_s)


def test_nobody_is_admitted_on_a_higher_rung(speakers: Speakers) -> None:
    speakers.join(3 * STREAMS)
    speakers.speak(20)
    speakers.leave(3 * STREAMS - 1)
    assert not speakers.capacity.admits(speakers.now_s)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["open", "close", "hear", "partial", "final", "step"]),
            st.integers(0, 4),
            st.floats(0, 300),
            st.floats(0, 30),
        ),
        max_size=60,
    )
)
def test_whatever_happens_the_figures_are_figures(happenings: list[tuple[str, int, float, float]]) -> None:
    made, now_s = capacity(smaller=SMALLER), 0.0
    for what, who, amount, later_s in happenings:
        now_s += later_s
        name = str(who)
        match what:
            case "open":
                made.opened(name, now_s)
            case "close":
                made.closed(name)
            case "hear":
                made.heard(name, amount, now_s)
            case "step":
                made.step(now_s)
            case kind:
                made.decoded(decoded(name, JobKind(kind), amount, now_s, waited_s=amount))
        assert math.isfinite(made.demand(now_s))
        assert made.demand(now_s) >= 0
        assert made.fits(now_s) >= 0
        assert 0 <= made.economy(now_s) <= 1
        made.admits(now_s)
