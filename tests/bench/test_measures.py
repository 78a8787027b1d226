"""What the measures say of streams that can be counted by hand."""

from __future__ import annotations

import msgspec
import pytest
from cohear_client.protocol import Partial
from hypothesis import given
from hypothesis import strategies as st
from measures import (
    HISTOGRAM_EDGES_MS,
    POST_ROLL_S,
    Received,
    Shown,
    cursor_lags_ms,
    final_waits,
    first_partials_ms,
    jitter_share,
    partial_ages_ms,
    partial_intervals_ms,
    percentile,
    summary,
    text_until,
    unstable_words,
    word_delays_s,
)

from .events import final, partial

approx = pytest.approx


class TestSummaries:
    def test_percentiles_are_values_that_occurred(self) -> None:
        values = [float(n) for n in range(1, 101)]
        assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
        assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7.0
        assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0

    @given(st.lists(st.floats(0, 1e5), min_size=1), st.floats(0.01, 1))
    def test_enough_values_are_within_a_percentile(self, values: list[float], share: float) -> None:
        bound = percentile(values, share)
        assert sum(value <= bound for value in values) >= share * len(values) * (1 - 1e-9)

    def test_a_histogram_holds_every_value(self) -> None:
        found = summary([1.0, 9.9, 10.0, 450.0, 1e6])
        assert (found["count"], found["max"]) == (5, 1e6)
        assert sum(found["histogram"]) == 5
        assert len(found["histogram"]) == len(HISTOGRAM_EDGES_MS) + 1
        assert (found["histogram"][0], found["histogram"][-1]) == (2, 1)

    def test_nothing_has_no_percentiles(self) -> None:
        assert summary([]) == {"count": 0}

    def test_jitter_is_deviation_over_mean(self) -> None:
        assert jitter_share([500.0, 500.0, 500.0]) == 0
        assert jitter_share([400.0, 600.0]) == approx(0.2)
        assert jitter_share([500.0]) is None


SPURTS = [(1.0, 3.0), (4.0, 6.0)]
"""somebody speaks, pauses for a second, and speaks again"""
EVENTS: list[Shown] = [
    (1.4, partial("", 1.3)),
    (1.9, partial("so", 1.8)),
    (2.5, partial("so he", 2.3)),
    (2.9, partial("so we went", 2.8)),
    (3.6, final("so we went", (0.8, 3.0 + POST_ROLL_S), decode_ms=30.0)),
    (4.8, partial("home", 4.5, segment=1)),
    (6.7, final("home then", (3.8, 6.0 + POST_ROLL_S), segment=1, decode_ms=120.0)),
]


class TestLatency:
    def test_first_partial_counts_from_the_first_sound_of_its_segment(self) -> None:
        assert first_partials_ms(Received(EVENTS, SPURTS)) == approx([400, 800])
        assert first_partials_ms(Received(EVENTS, SPURTS), with_words=True) == approx([900, 800])

    def test_a_segment_that_goes_on_after_a_cut_has_no_first_partial(self) -> None:
        events: list[Shown] = [
            (3.0, final("so", (1.0, 2.5), reason="max_length")),
            (3.2, partial("we", 3.0, segment=1)),
            (6.6, final("we", (2.5, 6.2), segment=1)),
        ]
        assert first_partials_ms(Received(events, [(1.0, 6.0)])) == []

    def test_a_noise_that_the_server_did_not_take_for_speech_is_no_start(self) -> None:
        assert first_partials_ms(Received(EVENTS, [(0.1, 0.3), *SPURTS])) == approx([400, 800])

    def test_final_waits_from_the_last_voiced_frame(self) -> None:
        first, second = final_waits(Received(EVENTS, SPURTS), endpoint_ms=500)
        assert [first.total_ms, first.level_ms, first.over_ms] == approx([600, 600, 100])
        assert [first.service_ms, first.endpoint_wait_ms] == approx([30, 570])
        assert [second.total_ms, second.service_ms] == approx([700, 120])
        assert first.cut_ms is None

    def test_a_final_without_a_pause_has_only_what_the_server_took(self) -> None:
        events: list[Shown] = [
            (9.0, final("so", (1.0, 5.0), reason="max_length", decode_ms=40.0)),
            (9.5, final("end", (5.0, 9.0), segment=1, reason="stop")),
        ]
        (wait,) = final_waits(Received(events, [(1.0, 9.0)]), endpoint_ms=500)
        assert (wait.total_ms, wait.endpoint_wait_ms, wait.over_ms, wait.cut_ms) == (None, None, None, 40)

    def test_only_the_steady_time_counts(self) -> None:
        heard = Received(EVENTS, SPURTS, since_s=3.5, until_s=5.0)
        assert first_partials_ms(heard) == approx([800])
        assert final_waits(heard, endpoint_ms=500) == []
        assert len(partial_ages_ms(heard)) == 1
        assert len(cursor_lags_ms(heard)) == 20

    def test_partial_age_is_that_of_the_end_of_its_audio(self) -> None:
        assert partial_ages_ms(Received(EVENTS, SPURTS)) == approx([100, 100, 200, 100, 300])


class TestCursorLag:
    def test_it_grows_until_an_event_covers_the_sound(self) -> None:
        lags = cursor_lags_ms(Received([(2.02, partial("a", 1.5))], [(1.0, 3.0)]))
        assert len(lags) == 40
        assert max(lags[:21]) == approx(1000)
        assert lags[21] == approx(550)
        assert lags[-1] == approx(1450)

    def test_silence_is_no_lag(self) -> None:
        events: list[Shown] = [(3.6, final("a", (0.8, 3.2)))]
        lags = cursor_lags_ms(Received(events, [(1.0, 3.0), (10.0, 10.5)]))
        assert lags[-10:] == approx([50 * n for n in range(10)])

    def test_speech_never_covered_is_not_forgotten_in_a_pause(self) -> None:
        lags = cursor_lags_ms(Received([], [(1.0, 2.0), (5.0, 6.0)]))
        assert max(lags) == approx(4950)

    def test_an_older_event_does_not_take_back_what_was_covered(self) -> None:
        events: list[Shown] = [(1.5, partial("a", 1.4)), (1.6, final("b", (0.0, 0.9)))]
        assert max(cursor_lags_ms(Received(events, [(1.0, 1.9)]))) == approx(450)


class TestCadence:
    def test_intervals_are_within_speech_and_a_segment(self) -> None:
        assert partial_intervals_ms(Received(EVENTS, SPURTS)) == approx([500, 600, 400])

    def test_a_pause_is_no_interval(self) -> None:
        events: list[Shown] = [(1.5, partial("a", 1.4)), (2.9, partial("b", 2.8)), (3.4, partial("c", 3.3))]
        assert partial_intervals_ms(Received(events, [(1.0, 1.6), (2.0, 4.0)])) == approx([500])


class TestWords:
    def test_changed_and_dropped_words_are_unstable(self) -> None:
        shown: list[Shown] = [
            (1.0, partial("so he", 1.0)),
            (2.0, partial("so we went", 2.0)),
            (3.0, final("So, we go home.", (0.0, 3.0))),
        ]
        assert unstable_words(shown) == 2, "he, went"

    def test_words_that_move_behind_a_cut_are_stable(self) -> None:
        shown: list[Shown] = [
            (5.0, partial("so we went home", 5.0)),
            (5.1, partial("so we", 3.0)),
            (5.6, final("So we", (0.0, 3.0), reason="max_length")),
        ]
        assert unstable_words(shown, [(5.1, partial("went home", 5.0, segment=1))]) == 0
        assert unstable_words(shown, [(5.1, partial("went", 5.0, segment=1))]) == 1
        assert unstable_words(shown) == 2

    @given(st.lists(st.sampled_from("abc"), max_size=8))
    def test_text_that_only_grows_is_stable(self, words: list[str]) -> None:
        texts = [" ".join(words[:n]) for n in range(len(words) + 1)]
        shown: list[Shown] = [(float(n), partial(text, float(n))) for n, text in enumerate(texts)]
        assert unstable_words(shown) == 0

    def test_a_word_is_shown_with_the_first_event_that_has_it_in_place(self) -> None:
        shown: list[Shown] = [
            (1.2, partial("we", 1.0)),
            (2.2, partial("went", 2.0, stable="we")),
            (3.5, final("we went home", (0.0, 3.0))),
        ]
        assert word_delays_s(shown) == approx([0.2, 0.2, 0.5])
        assert word_delays_s(shown, stable=True) == approx([1.2, 1.5, 0.5])

    def test_no_final_no_delays(self) -> None:
        assert word_delays_s([(1.0, partial("we", 1.0))]) == []

    def test_text_ends_where_the_clips_do(self) -> None:
        finals = [final("one two", (0.0, 2.0)), final("three four", (2.0, 4.0))]
        assert text_until(finals, 3.0) == "one two three"
        untimed = [msgspec.structs.replace(f, words=()) for f in finals]
        assert text_until(untimed, 2.9) == "one two"
        assert text_until(untimed, 3.1) == "one two three four"


def test_segments_are_in_order() -> None:
    shuffled: list[Shown] = [(2.0, partial("b", 2.0, segment=1)), (1.0, partial("a", 1.0))]
    segments = Received(shuffled, ()).segments()
    assert [[e.volatile for _, e in shown if isinstance(e, Partial)] for shown in segments] == [["a"], ["b"]]
