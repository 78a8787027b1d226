from __future__ import annotations

import pytest
from cohear_client.protocol import (
    Done,
    Error,
    Final,
    Finalized,
    Partial,
    SampleCount,
    ServerMessage,
    SpeechStarted,
    Stats,
    Timing,
    Warning,
    Word,
)
from cohear_client.timeline import Timeline


def final(seq: int, segment: int, start_s: float, end_s: float) -> Final:
    words = (Word("so", start_s, end_s, 0.9),)
    return Final(seq, segment, "so", 0.9, "en", start_s, end_s, "endpoint", "m", Timing(), words)


def stats(settled_s: float, count: SampleCount | None = None) -> Stats:
    return Stats(0.0, 0.0, 0.0, 0, count or SampleCount(), settled_s)


def lost(start_s: float, end_s: float) -> Error:
    return Error("decode_failed", "no text", fatal=False, start_s=start_s, end_s=end_s)


def heard(line: Timeline, *events: ServerMessage) -> list[ServerMessage | None]:
    return [line.take(event) for event in events]


def test_events_of_the_first_session_are_the_streams_own() -> None:
    line = Timeline(16_000)
    events: list[ServerMessage] = [
        SpeechStarted(0.5),
        final(1, 0, 0.5, 2.0),
        stats(3.0, SampleCount(64_000, 24_000, 24_000, 0)),
    ]
    assert heard(line, *events) == events


@pytest.mark.parametrize(
    ("event", "settled_s"),
    [
        (final(1, 0, 0.5, 2.0), 2.0),
        (stats(3.0), 3.0),
        (lost(0.5, 2.5), 2.5),
        (Done(SampleCount(64_000, 0, 64_000, 0), 0), 4.0),
        (Partial(1, 0, 1, "", "so", 0.5, 3.0, Timing()), 0.0),
        (Warning("degraded", "slower"), 0.0),
    ],
)
def test_what_is_settled_follows_from_events(event: ServerMessage, settled_s: float) -> None:
    line = Timeline(16_000)
    line.take(event)
    assert line.settled == settled_s * 16_000
    line.take(stats(0.0))
    assert line.settled == settled_s * 16_000, "it never goes back"


def test_a_later_session_counts_on() -> None:
    line = Timeline(16_000)
    heard(line, final(5, 2, 4.0, 10.0), Partial(6, 3, 1, "", "and", 0.5, 11.0, Timing()))
    line.begin_again()
    assert line.session_seq == 0
    moved = line.take(final(1, 0, 1.0, 2.0))
    assert isinstance(moved, Final)
    assert (moved.seq, moved.segment_id, moved.start_s, moved.end_s) == (7, 4, 11.0, 12.0)
    assert moved.words == (Word("so", 11.0, 12.0, 0.9),)
    assert line.session_seq == 1
    assert line.take(SpeechStarted(1.0)) == SpeechStarted(11.0)
    assert line.take(Warning("audio_lost", "no", 1.0, 2.0)) == Warning("audio_lost", "no", 11.0, 12.0)
    assert line.settled == 12 * 16_000


def test_counts_are_those_of_all_sessions() -> None:
    line = Timeline(16_000)
    heard(line, final(1, 0, 1.0, 3.0), lost(4.0, 5.0), stats(6.0))
    line.begin_again()
    count = SampleCount(32_000, 16_000, 16_000, 0)
    whole = SampleCount(128_000, 48_000, 64_000, 16_000)
    assert line.take(stats(0.5, count)) == stats(6.5, whole)
    assert line.take(Done(count, 1)) == Done(whole, 2)
    line.begin_again()
    assert line.take(Done(SampleCount(), 0)) == Done(whole, 2), "a session that was done counts as it said"


def test_what_came_is_counted_for_the_server_and_comes_once() -> None:
    line, wrong = Timeline(16_000), Error("bad_field", "no", fatal=False)
    heard(line, SpeechStarted(0.0), Partial(1, 0, 1, "", "so", 0.5, 1.0, Timing()), stats(0.0))
    assert (line.session_seq, line.lasting) == (1, 0)
    heard(line, final(2, 0, 0.0, 1.0), wrong, wrong, Finalized("a"))
    assert (line.session_seq, line.lasting) == (2, 4)
    assert line.take(final(2, 0, 0.0, 1.0)) is None
    line.begin_again()
    assert (line.session_seq, line.lasting) == (0, 0)


def test_places_in_other_rates_are_those_of_the_server() -> None:
    line = Timeline(8_000)
    line.take(final(1, 0, 0.0, 16_001 / 16_000))
    assert line.settled == 8_001, "halves go up"
