"""Boundaries of segments from frame probabilities; one frame is 20 ms, 320 samples."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from cohear_server.core.jobs import SAMPLE_RATE_HZ
from cohear_server.core.segmenter import (
    Cut,
    Pause,
    Resumption,
    Segmenter,
    SegmenterOptions,
    SegmentEvent,
    SpeechEnd,
    SpeechStart,
)
from cohear_server.errors import ClientError
from hypothesis import given
from hypothesis import strategies as st

OPTIONS = SegmenterOptions()


def run(
    pattern: str, options: SegmenterOptions = OPTIONS, levels: list[float] | None = None, economy: float = 0.0
) -> list[SegmentEvent]:
    """`#` a voiced frame, `.` an unvoiced one."""
    segmenter = Segmenter(options)
    segmenter.economy = economy
    probabilities = np.array([0.9 if c == "#" else 0.1 for c in pattern], np.float32)
    given_levels = np.array(levels if levels is not None else [-20.0] * len(pattern), np.float32)
    return list(segmenter.push(probabilities, np.power(10.0, given_levels / 10, dtype=np.float32)))


def s(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)


def test_speech_between_silences() -> None:
    events = run("." * 50 + "#" * 50 + "." * 50)
    assert events == [
        SpeechStart(s(0.7), s(1.0)),  # 300 ms of pre-roll
        Pause(s(2.2)),  # 200 ms of post-roll
        SpeechEnd(s(2.2), "endpoint"),
    ]


def test_a_click_is_silence() -> None:
    assert run("." * 50 + "###" + "." * 50) == []


def test_clicks_far_apart_do_not_add_up() -> None:
    assert run(("##" + "." * 20) * 10) == []


def test_a_short_pause_does_not_end_the_segment() -> None:
    events = run("#" * 30 + "." * 15 + "#" * 30 + "." * 30)
    assert [type(e) for e in events] == [SpeechStart, Pause, Resumption, Pause, SpeechEnd]


def test_a_pause_shorter_than_early_silence_is_not_even_a_pause() -> None:
    events = run("#" * 30 + "." * 8 + "#" * 30 + "." * 30)
    assert [type(e) for e in events] == [SpeechStart, Pause, SpeechEnd]


def test_pre_roll_never_reaches_into_the_segment_before() -> None:
    events = run("#" * 30 + "." * 25 + "#" * 30 + "." * 30)
    ends = [e.end for e in events if isinstance(e, SpeechEnd)]
    starts = [e.start for e in events if isinstance(e, SpeechStart)]
    assert starts[1] >= ends[0]


def test_long_speech_is_cut_at_the_quietest_point_and_goes_on() -> None:
    frames = 50 * 16
    levels = [-20.0] * frames
    quiet_s = 12.5
    for i in range(int(quiet_s * 50), int(quiet_s * 50) + 6):
        levels[i] = -50.0
    events = run("#" * frames, replace(OPTIONS, max_segment_s=15.0, cut_search_s=4.0), levels)
    assert isinstance(events[1], Cut)
    assert not events[1].early
    assert s(quiet_s) <= events[1].at <= s(quiet_s + 0.12)
    assert len(events) == 2


def test_long_speech_that_is_cut_in_a_pause_leaves_nothing_behind() -> None:
    levels = [-20.0] * (50 * 14) + [-60.0] * 60
    options = replace(OPTIONS, max_segment_s=14.5, endpoint_ms=1_000)
    events = run("#" * (50 * 14) + "." * 60 + "#" * 20 + "." * 60, options, levels + [-20.0] * 20 + [-60.0] * 60)
    assert [type(e) for e in events] == [SpeechStart, Pause, SpeechEnd, SpeechStart, Pause, SpeechEnd]
    assert events[2] == SpeechEnd(s(14.2), "max_length"), "where the pause was told to end it"
    assert events[3].at >= s(15.0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("economy", "speech_s", "cut"),
    [(1, 2.7, False), (1, 2.9, True), (0.5, 6.2, False), (0.5, 6.4, True), (0, 8, False)],
)
def test_with_economy_a_long_segment_is_cut_at_a_pause_that_is_none(economy: float, speech_s: float, cut: bool) -> None:
    events = run("#" * round(speech_s * 50) + "." * 15 + "#" * 20 + "." * 30, economy=economy)
    pause = s(speech_s + 0.2)
    assert events[1:-2] == [Pause(pause), Cut(pause, early=True) if cut else Resumption()]
    assert events[-1] == SpeechEnd(s(speech_s + 0.9), "endpoint")


def test_hysteresis_keeps_weak_speech() -> None:
    segmenter = Segmenter(OPTIONS)
    probabilities = np.array([0.9] * 20 + [0.4] * 100, np.float32)
    events = list(segmenter.push(probabilities, np.full(120, -20, np.float32)))
    assert [type(e) for e in events] == [SpeechStart]


def test_flush_in_speech_keeps_everything_in_a_pause_only_the_post_roll() -> None:
    for pattern, end in (("#" * 50, s(1.0)), ("#" * 50 + "." * 15, s(1.2))):
        segmenter = Segmenter(OPTIONS)
        probabilities = np.array([0.9 if c == "#" else 0.1 for c in pattern], np.float32)
        list(segmenter.push(probabilities, np.full(len(pattern), -20, np.float32)))
        assert segmenter.flush(segmenter.position, "stop") == SpeechEnd(end, "stop")


def test_flush_in_silence_is_nothing() -> None:
    assert Segmenter(OPTIONS).flush(0, "stop") is None


def test_a_short_endpoint_has_its_pause_before_it_and_ends_where_the_pause_said() -> None:
    """However short: what was decoded at the pause is the final."""
    for endpoint_ms in range(100, 500, 20):
        events = run("#" * 30 + "." * 40, OPTIONS.with_endpoint(endpoint_ms))
        assert [type(e) for e in events] == [SpeechStart, Pause, SpeechEnd]
        assert events[1].end == events[2].end  # type: ignore[union-attr]


@pytest.mark.parametrize("endpoint_ms", [100, 200, 300, 480])
def test_with_economy_and_a_short_endpoint_a_cut_leaves_the_segment_behind_it_open(endpoint_ms: int) -> None:
    pause = "." * (endpoint_ms // 20 - 1)
    events = run("#" * 200 + pause + "#" * 100 + "." * 40, OPTIONS.with_endpoint(endpoint_ms), economy=1.0)
    assert [type(e) for e in events] == [SpeechStart, Pause, Cut, Pause, SpeechEnd]


def test_a_cut_is_looked_for_inside_the_segment() -> None:
    """The quietest point of the last seconds may lie before the cut that began it."""
    frames = 50 * 40
    levels = [-20.0] * frames
    levels[50:56] = [-80.0] * 6
    events = run("#" * frames, replace(OPTIONS, max_segment_s=2.0), levels)
    cuts = [e.at for e in events if isinstance(e, Cut)]
    assert len(cuts) >= 20
    assert all(b - a >= s(0.5) for a, b in pairwise(cuts))


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"endpoint_ms": 4_000, "max_segment_s": 3.0}, ["endpoint_ms", "max_segment_s"]),
        ({"max_segment_s": 30.0}, ["max_segment_s"]),
        ({"max_segment_s": 1.0, "pre_roll_ms": 900}, ["pre_roll_ms", "max_segment_s"]),
        ({"keep_probability": 0.6}, ["keep_probability", "start_probability"]),
        ({"min_speech_ms": 300}, ["min_speech_ms"]),
        ({"endpoint_ms": 20}, ["endpoint_ms"]),
    ],
)
def test_options_that_cannot_hold_together_are_refused_together(wrong: dict[str, float], names: list[str]) -> None:
    with pytest.raises(ClientError) as refused:
        replace(OPTIONS, **wrong)  # type: ignore[arg-type]
    assert refused.value.code == "bad_options"
    assert all(name in refused.value.message for name in names)
    assert refused.value.remedy


@given(data=st.data())
def test_segments_are_ordered_disjoint_and_bounded(data: st.DataObject) -> None:
    """Over all settings: probabilities and levels that come as they like."""
    longest_s = data.draw(st.floats(5.0, 28.0), "max_segment_s")
    endpoint_ms = data.draw(st.integers(100, 5_000), "endpoint_ms")
    options = replace(OPTIONS, max_segment_s=longest_s, endpoint_ms=endpoint_ms)
    segmenter = Segmenter(options)
    runs = data.draw(
        st.lists(st.tuples(st.integers(1, 700), st.floats(0, 1), st.floats(-96, 0)), max_size=30), "frames alike"
    )
    p, db = (np.repeat([r[k] for r in runs], [r[0] for r in runs]).astype(np.float32) for k in (1, 2))
    noise = np.random.default_rng(data.draw(st.integers(0, 9), "seed"))
    db = db + noise.normal(0, 3, len(db)).astype(np.float32)
    floor, start, at = 0, None, 0
    while at < len(p):
        size = data.draw(st.integers(1, 300), "pushed together")
        segmenter.economy = data.draw(st.floats(0, 1), "economy")
        for event in segmenter.push(p[at : at + size], np.power(10.0, db[at : at + size] / 10, dtype=np.float32)):
            match event:
                case SpeechStart():
                    assert start is None
                    assert floor <= event.start <= event.at <= segmenter.position
                    start = event.start
                case Pause():
                    assert start is not None
                    assert start < event.end <= segmenter.position
                case Resumption():
                    assert start is not None
                case Cut(end) | SpeechEnd(end):
                    assert start is not None
                    assert start < end <= segmenter.position
                    assert end - start <= longest_s * SAMPLE_RATE_HZ + 320
                    floor, start = end, end if isinstance(event, Cut) else None
        if start is not None:
            assert segmenter.position - start <= longest_s * SAMPLE_RATE_HZ + 320
        at += size
    last = segmenter.flush(segmenter.position, "stop")
    if start is not None:
        assert last is not None
        assert start < last.end <= segmenter.position
    else:
        assert last is None
        assert floor <= segmenter.silent_until <= max(floor, segmenter.position)
