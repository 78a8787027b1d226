"""The ladder and admission in numbers: streams that cost what we say, seconds that we count ourselves."""

from __future__ import annotations

import math
from itertools import groupby

import pytest
from cohear_server.scheduling.load import Load, LoadOptions, Rung

FINALS, PARTIALS = 0.02, 0.04
"""engine seconds in a second of one stream"""
ELASTIC = LoadOptions().elastic
USUAL = FINALS + ELASTIC * PARTIALS
CAPACITY = int(1 / USUAL)
SMALLER = 0.4
"""cost of a partial of the smaller model, as a share of the main model's"""
IN_ENGINE = 16
"""partials, two full batches"""
WITH, WITHOUT = list(Rung), [Rung.USUAL, Rung.SLOWER, Rung.NO_PARTIALS]


class Speakers:
    """So many streams that all speak: partials and a final are charged, as their costs say."""

    def __init__(self, load: Load, smaller: float = SMALLER) -> None:
        self.load = load
        self.smaller = smaller
        """what partials really cost on that rung"""
        self.now_s = 0.0
        self.count = 0

    def join(self, count: int) -> None:
        for _ in range(count):
            self.load.opened(f"s{self.count}")
            self.count += 1

    def leave(self, count: int) -> None:
        for _ in range(count):
            self.count -= 1
            self.load.closed(f"s{self.count}")

    def speak(self, seconds: float, each: float = 1.0) -> list[Rung]:
        """Every 0.25 s the load is charged and asked; `each`: how much of the time a stream speaks."""
        rungs = []
        for step in range(round(seconds / 0.25)):
            self.now_s += 0.25
            one_in = {Rung.USUAL: 1, Rung.SLOWER: 2, Rung.SMALLER: 2}.get(self.load.rung)
            cost = 0.25 * each * PARTIALS * (self.smaller if self.load.rung is Rung.SMALLER else 1.0)
            for i in range(self.count):
                self.load.heard(f"s{i}", 0.25, self.now_s)
                self.load.final_decoded(f"s{i}", 0.25 * each * FINALS, self.now_s)
                if one_in and (step + i) % one_in == 0:
                    self.load.partial_decoded(f"s{i}", cost, 1.0, self.now_s)
            rungs.append(self.load.step(self.now_s))
        return rungs


@pytest.fixture
def speakers() -> Speakers:
    """Without a smaller model."""
    return Speakers(Load(LoadOptions(slots=1, keep=1.0)))


@pytest.fixture
def tiered() -> Speakers:
    """With one, whose cost warm-up foretold."""
    return Speakers(load_with(SMALLER))


def load_with(smaller_cost: float) -> Load:
    load = Load(LoadOptions(slots=1, keep=1.0))
    load.smaller_cost = smaller_cost
    return load


def steps(rungs: list[Rung]) -> list[Rung]:
    """Each as often as it was taken."""
    return [rung for rung, _ in groupby(rungs)]


def test_nothing_known_admits() -> None:
    load = Load(LoadOptions())
    assert load.fits(0.0) == math.inf
    assert load.admits(0.0)
    assert load.step(0.0) is Rung.USUAL


def test_the_foretold_cost_bounds_the_first_streams() -> None:
    load = Load(LoadOptions(slots=2, keep=1.0))
    load.prior = FINALS + PARTIALS
    admitted = 0
    while load.admits(0.0):
        load.opened(str(admitted))
        admitted += 1
    assert admitted == pytest.approx(2 / (load.prior * (1 / 3 + 2 / 3 * ELASTIC)), abs=1)


def test_admission_ends_where_the_engine_is_taken(speakers: Speakers) -> None:
    speakers.join(CAPACITY - 2)
    speakers.speak(30)
    assert speakers.load.admits(speakers.now_s)
    speakers.join(2)
    speakers.speak(10)
    assert not speakers.load.admits(speakers.now_s)
    assert speakers.load.rung is Rung.USUAL
    assert speakers.load.demand(speakers.now_s) == pytest.approx(CAPACITY * USUAL, rel=0.1)
    assert speakers.load.demand(speakers.now_s, more=2) > 1


def test_the_engine_is_not_filled_to_the_brim() -> None:
    half, whole = (Speakers(Load(LoadOptions(keep=keep))) for keep in (0.5, 1.0))
    for speakers in (half, whole):
        speakers.join(4)
        speakers.speak(20)
    assert half.load.fits(half.now_s) == pytest.approx(whole.load.fits(whole.now_s) / 2)


def test_quiet_streams_leave_room_for_others(speakers: Speakers) -> None:
    speakers.join(CAPACITY)
    speakers.speak(30, each=0.4)
    assert speakers.load.fits(speakers.now_s) == pytest.approx(CAPACITY / 0.4, rel=0.15)


def test_silence_is_not_taken_for_endless_room(speakers: Speakers) -> None:
    speakers.load.prior = FINALS + PARTIALS
    speakers.join(4)
    speakers.speak(60, each=0.0)
    assert speakers.load.fits(speakers.now_s) == pytest.approx(4 / speakers.load.prior, rel=0.01)


def test_partials_that_waited_are_charged_as_wanted() -> None:
    """A busy engine decodes half as many partials as wanted: the demand is the same."""
    demands = []
    for asked, number in ((1.0, 1.0), (2.0, 0.5)):
        load = Load(LoadOptions())
        load.opened("a")
        for i in range(1, 200):
            load.heard("a", 0.1, 0.1 * i)
            load.partial_decoded("a", 0.1 * PARTIALS * number, asked, 0.1 * i)
        demands.append(load.demand(20.0))
    assert demands[0] == pytest.approx(demands[1])


@pytest.mark.parametrize(
    ("share", "rung"),
    [(0.9, Rung.USUAL), (1.5, Rung.SLOWER), (2.0, Rung.NO_PARTIALS), (3.0, Rung.NO_PARTIALS)],
)
def test_each_rung_is_taken_at_its_load_and_kept(speakers: Speakers, share: float, rung: Rung) -> None:
    speakers.join(round(share * CAPACITY))
    speakers.speak(20)
    assert set(speakers.speak(30)) == {rung}


@pytest.mark.parametrize(("share", "haste"), [(0.15, 0.0), (0.35, 0.5), (0.6, 1.0)])
def test_haste_grows_with_what_is_asked_for(speakers: Speakers, share: float, haste: float) -> None:
    speakers.join(round(share * CAPACITY))
    assert speakers.load.haste(0.0) == 0.0, "nothing is known yet"
    speakers.speak(20)
    assert speakers.load.haste(speakers.now_s) == pytest.approx(haste, abs=0.1)


def test_rungs_come_one_by_one(speakers: Speakers) -> None:
    speakers.join(3 * CAPACITY)
    assert steps(speakers.speak(20)) == WITHOUT
    speakers.leave(round(2.5 * CAPACITY))
    assert steps(speakers.speak(20)) == WITHOUT[::-1]


def test_a_smaller_model_is_a_rung_of_its_own(tiered: Speakers) -> None:
    tiered.join(3 * CAPACITY)
    assert steps(tiered.speak(20)) == WITH
    tiered.leave(round(2.5 * CAPACITY))
    assert steps(tiered.speak(20)) == WITH[::-1]


@pytest.mark.parametrize(
    ("share", "rung"),
    [(0.9, Rung.USUAL), (1.5, Rung.SLOWER), (2.0, Rung.SMALLER), (2.5, Rung.NO_PARTIALS)],
)
def test_with_a_smaller_model_each_rung_has_its_load(tiered: Speakers, share: float, rung: Rung) -> None:
    tiered.join(round(share * CAPACITY))
    tiered.speak(20)
    assert set(tiered.speak(60)) == {rung}


def test_a_rung_is_left_only_where_there_is_room_to_spare(tiered: Speakers) -> None:
    """SLOWER asks for 0.71 of the usual: it is left at 1.75 times the capacity, and taken again below 1.4 times."""
    tiered.join(round(2.0 * CAPACITY))
    tiered.speak(20)
    tiered.leave(round(0.4 * CAPACITY))
    assert set(tiered.speak(30)) == {Rung.SMALLER}
    tiered.leave(round(0.3 * CAPACITY))
    assert steps(tiered.speak(30)) == [Rung.SMALLER, Rung.SLOWER]


def test_what_is_asked_for_does_not_depend_on_the_rung(tiered: Speakers) -> None:
    speakers = round(2.0 * CAPACITY)
    tiered.join(speakers)
    tiered.speak(30)
    assert tiered.load.rung is Rung.SMALLER
    asked = {
        Rung.USUAL: FINALS + ELASTIC * PARTIALS,
        Rung.SLOWER: FINALS + 0.5 * ELASTIC * PARTIALS,
        Rung.SMALLER: FINALS + 0.5 * SMALLER * ELASTIC * PARTIALS,
        Rung.NO_PARTIALS: FINALS,
    }
    for rung, each in asked.items():
        assert tiered.load.demand(tiered.now_s, rung) == pytest.approx(speakers * each, rel=0.1)
    assert tiered.load.demand(tiered.now_s) == tiered.load.demand(tiered.now_s, Rung.SMALLER)


@pytest.mark.parametrize("foretold", [0.1, 0.26, 1.0])
def test_a_wrong_guess_at_warm_up_is_put_right(foretold: float) -> None:
    speakers = Speakers(load_with(foretold))
    speakers.join(round(2.0 * CAPACITY))
    speakers.speak(40)
    assert set(speakers.speak(60)) == {Rung.SMALLER}
    assert speakers.load.smaller_cost == pytest.approx(SMALLER, rel=0.02)
    known = round(2.0 * CAPACITY) * USUAL
    assert speakers.load.demand(speakers.now_s, Rung.USUAL) == pytest.approx(known, rel=0.1)


def test_partials_still_in_the_engine_are_no_reason_to_go_on() -> None:
    """The first after the step are the main model's. They count as such, not as ten times as many of the smaller."""
    speakers = Speakers(load_with(0.1))
    speakers.join(round(2.1 * CAPACITY))
    while speakers.load.rung is not Rung.SMALLER:
        speakers.speak(0.25)
    before = speakers.load.demand(speakers.now_s, Rung.USUAL)
    for i in range(IN_ENGINE):
        speakers.load.partial_decoded(f"s{i}", 0.25 * PARTIALS, 1.0, speakers.now_s)
    assert speakers.load.demand(speakers.now_s, Rung.USUAL) < 1.1 * before
    assert set(speakers.speak(30)) == {Rung.SMALLER}


def test_streams_that_stay_with_the_main_model_are_found_out() -> None:
    """None of them can be moved: the rung saves nothing, and the next is taken."""
    speakers = Speakers(load_with(SMALLER), smaller=1.0)
    speakers.join(round(2.0 * CAPACITY))
    assert steps(speakers.speak(30)) == WITH
    assert set(speakers.speak(60)) == {Rung.NO_PARTIALS}
    speakers.leave(round(0.7 * CAPACITY))
    assert steps(speakers.speak(30)) == [Rung.NO_PARTIALS, Rung.SMALLER, Rung.SLOWER]


def test_a_file_sent_fast_counts_as_one_speaker(speakers: Speakers) -> None:
    speakers.join(4)
    speakers.speak(10)
    before = speakers.load.fits(speakers.now_s)
    for i in range(4):
        speakers.load.heard(f"s{i}", 60.0, speakers.now_s)
        speakers.load.final_decoded(f"s{i}", 60 * FINALS, speakers.now_s)
        speakers.load.partial_decoded(f"s{i}", 60 * PARTIALS, 1.0, speakers.now_s)
    assert speakers.load.fits(speakers.now_s) == pytest.approx(before, rel=0.02)


def test_a_short_burst_changes_nothing(speakers: Speakers) -> None:
    speakers.join(CAPACITY)
    speakers.speak(10, each=0.5)
    assert set(speakers.speak(1.5, each=2.0)) == {Rung.USUAL}
    assert set(speakers.speak(5, each=0.5)) == {Rung.USUAL}


def test_recovery_takes_less_than_ten_seconds(speakers: Speakers) -> None:
    speakers.join(2 * CAPACITY)
    speakers.speak(30)
    assert speakers.load.rung is Rung.NO_PARTIALS
    speakers.leave(round(1.75 * CAPACITY))
    rungs = speakers.speak(10)
    assert rungs[-1] is Rung.USUAL
    assert rungs == sorted(rungs, reverse=True)
    assert speakers.load.admits(speakers.now_s)


def test_nobody_is_admitted_on_a_higher_rung(speakers: Speakers) -> None:
    speakers.join(2 * CAPACITY)
    speakers.speak(20)
    speakers.leave(2 * CAPACITY - 1)
    assert not speakers.load.admits(speakers.now_s)
