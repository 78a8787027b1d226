from __future__ import annotations

from cohear_client.protocol import Final, Partial, SpeechStarted, Start, Timing, Word
from cohear_client.replay import Replay, Shift
from hypothesis import given
from hypothesis import strategies as st


def samples(count: int, first: int = 0) -> bytes:
    """16-bit samples that count up."""
    return b"".join((first + i).to_bytes(2, "little") for i in range(count))


def test_audio_is_kept_until_it_is_final() -> None:
    replay = Replay(Start())
    for i in range(10):
        replay.append(samples(100, 100 * i))
    replay.forget_before(250)
    assert (replay.start, replay.end) == (200, 1_000), "whole pieces go"
    assert replay.since(250) == samples(750, 250)
    assert replay.since(0) == samples(800, 200)
    assert replay.since(1_000) == b""


def test_memory_is_bounded() -> None:
    replay = Replay(Start(), keep_s=0.1)
    for i in range(100):
        replay.append(samples(160, 160 * i))
    assert replay.end == 16_000
    assert replay.end - replay.start <= 1_600


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(0, 1_500), st.integers(0, 1_500))
def test_what_is_kept_is_what_was_sent(sizes: list[int], final: int, wanted: int) -> None:
    replay, sent = Replay(Start()), b""
    for size in sizes:
        piece = samples(size, len(sent) // 2)
        replay.append(piece)
        sent += piece
    replay.forget_before(final)
    assert replay.start <= final or replay.start == 0
    assert replay.since(wanted) == sent[2 * max(wanted, replay.start) :]


def test_events_of_a_later_session_are_put_in_their_place() -> None:
    shift = Shift(seconds=10.0, seq=5, segments=2)
    word = Word("so", 1.0, 1.5, 0.9)
    final = Final(1, 0, "so", 0.9, "en", 1.0, 2.0, "stop", "m", Timing(), (word,))
    moved = shift.of(final)
    assert isinstance(moved, Final)
    assert (moved.seq, moved.segment_id, moved.start_s, moved.end_s) == (6, 2, 11.0, 12.0)
    assert moved.words[0].start_s == 11.0
    partial = shift.of(Partial(2, 1, 1, "", "so", 0.5, 3.0, Timing(), (word,)))
    assert isinstance(partial, Partial)
    assert (partial.seq, partial.segment_id, partial.audio_end_s) == (7, 3, 13.0)
    assert shift.of(SpeechStarted(1.0)) == SpeechStarted(11.0)
