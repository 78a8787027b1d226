"""Boundaries of segments from frame probabilities; one frame is 20 ms, 320 samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cohear_server.core.jobs import SAMPLE_RATE_HZ
from cohear_server.core.segmenter import (
    Pause,
    Resumption,
    Segmenter,
    SegmenterOptions,
    SegmentEvent,
    SpeechEnd,
    SpeechStart,
)
from hypothesis import given
from hypothesis import strategies as st

OPTIONS = SegmenterOptions()


def run(
    pattern: str, options: SegmenterOptions = OPTIONS, levels: list[float] | None = None, haste: float = 0.0
) -> list[SegmentEvent]:
    """`#` a voiced frame, `.` an unvoiced one."""
    segmenter = Segmenter(options)
    segmenter.haste = haste
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
    assert isinstance(events[1], SpeechEnd)
    assert events[1].reason == "max_length"
    assert s(quiet_s) <= events[1].end <= s(quiet_s + 0.12)
    assert events[2] == SpeechStart(events[1].end, events[1].end, continues=True)


def test_long_speech_that_is_cut_in_a_pause_leaves_nothing_behind() -> None:
    frames = 50 * 14 + 40
    levels = [-20.0] * (50 * 14) + [-60.0] * 60
    options = replace(OPTIONS, max_segment_s=14.5, endpoint_ms=1_000)
    events = run("#" * (50 * 14) + "." * 60 + "#" * 20 + "." * 60, options, levels + [-20.0] * 20 + [-60.0] * 60)
    assert [type(e) for e in events] == [SpeechStart, Pause, SpeechEnd, SpeechStart, Pause, SpeechEnd]
    assert events[2] == SpeechEnd(events[2].end, "max_length")  # type: ignore[union-attr]
    assert s(14.0) <= events[2].end <= frames * 320
    assert events[3].at >= s(15.0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("haste", "speech_s", "ends"), [(1, 2.7, False), (1, 2.9, True), (0.5, 6.2, False), (0.5, 6.4, True), (0, 8, False)]
)
def test_in_haste_a_long_segment_ends_at_a_pause_that_is_none(haste: float, speech_s: float, ends: bool) -> None:
    events = run("#" * round(speech_s * 50) + "." * 15 + "#" * 20 + "." * 30, haste=haste)
    pause = s(speech_s + 0.2)
    cut = [SpeechEnd(pause, "max_length"), SpeechStart(pause, pause, continues=True)]
    assert events[1:-2] == [Pause(pause), *(cut if ends else [Resumption()])]
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


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(-90, 0)), max_size=400),
    st.lists(st.integers(1, 60), min_size=1, max_size=20),
    st.sampled_from([200, 500, 1_000, 2_000]),
    st.floats(0, 1),
)
def test_segments_are_ordered_disjoint_and_bounded(
    frames: list[tuple[float, float]], sizes: list[int], endpoint_ms: int, haste: float
) -> None:
    options = replace(OPTIONS, max_segment_s=5.0, cut_search_s=2.0, hasty_cut_s=1.0, endpoint_ms=endpoint_ms)
    segmenter = Segmenter(options)
    segmenter.haste = haste
    floor, start, at = 0, None, 0
    for size in sizes * (1 + len(frames) // sum(sizes)):
        block = frames[at : at + size]
        at += size
        p, db = (np.array([f[k] for f in block], np.float32) for k in (0, 1))
        for event in segmenter.push(p, db):
            if isinstance(event, SpeechStart):
                assert start is None or event.continues
                assert floor <= event.start <= event.at <= segmenter.position
                start = event.start
            elif isinstance(event, Pause):
                assert start is not None
                assert start < event.end <= segmenter.position
            elif isinstance(event, SpeechEnd):
                assert start is not None
                assert start <= event.end <= segmenter.position
                assert event.end - start <= 5.0 * SAMPLE_RATE_HZ + 320
                floor, start = event.end, None
    assert segmenter.silent_until >= floor
    if start is None:
        assert segmenter.silent_until <= max(floor, segmenter.position)
