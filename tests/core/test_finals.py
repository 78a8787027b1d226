"""What waits for its text leaves in order, and marks between."""

from __future__ import annotations

import pytest
from cohear_server.core.attempts import Attempt, Span
from cohear_server.core.context import Said
from cohear_server.core.finals import MAX_MARKS, Finals, Mark, PendingFinal
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeOptions, DecodeResult, HypothesisWord
from cohear_server.errors import ClientError, ServerError

HZ = SAMPLE_RATE_HZ


def pending(number: int, length_s: int = 1) -> PendingFinal:
    start = number * 10 * HZ
    window = Span(start, start + length_s * HZ)
    return PendingFinal(number, Said(window.start, window.end), "endpoint", 0.0, Attempt(str(number), window, 0.0))


def test_the_oldest_leaves_first_whoever_is_answered_first() -> None:
    finals = Finals()
    for number in range(2):
        finals.add(pending(number))
    finals.mark("here")
    finals.resolve(DecodeResult("1", "second"))
    assert finals.ready() is None
    assert (finals.backlog_s, finals.oldest_start) == (1.0, 0)
    finals.resolve(DecodeResult("0", "first"))
    left = []
    while (head := finals.ready()) is not None:
        left.append(head.id if isinstance(head, Mark) else head.segment_id)
        finals.pop()
    assert left == [0, 1, "here"]
    assert (len(finals), finals.backlog_s, finals.oldest_start) == (0, 0.0, None)


def test_words_of_a_final_count_from_the_start_of_the_stream_and_what_was_traded_is_told() -> None:
    final = pending(1)
    final.attempt.traded, final.traded = ("short_context",), ("early_cut",)
    own = DecodeResult("1", "one", (HypothesisWord("one", 100, 200, 0.5),), language="en", confidence=0.5)
    event = final.event(7, own, DecodeOptions("m", word_times=True))
    assert event.words == (HypothesisWord("one", 10 * HZ + 100, 10 * HZ + 200, 0.5),)
    assert (event.seq, event.start, event.end) == (7, 10 * HZ, 11 * HZ)
    assert event.traded == ("short_context", "early_cut")
    assert final.event(7, own, DecodeOptions("m")).words is None, "none were asked for"


def test_a_lost_segment_says_which_audio_it_was_and_why() -> None:
    lost = pending(1).lost(ServerError("decode_failed", "no luck", "say it again"))
    assert lost.fault.code == "decode_failed"
    assert lost.fault.message == "1.0 s of speech from 10.0 s on could not be decoded (no luck)"
    assert lost.fault.remedy == "say it again"


def test_marks_that_wait_are_bounded() -> None:
    finals = Finals()
    finals.add(pending(0))
    for number in range(MAX_MARKS):
        assert not finals.repeats(str(number))
        finals.mark(str(number))
    with pytest.raises(ClientError, match="not answered yet"):
        finals.repeats("one more")


def test_a_mark_that_is_said_again_is_the_same_only_after_a_return_without_audio() -> None:
    finals = Finals()
    finals.mark("a")
    assert not finals.repeats("a")
    finals.client_came_back()
    assert finals.repeats("a")
    assert not finals.repeats("a"), "each once"
    finals.client_came_back()
    finals.audio_came()
    assert not finals.repeats("a")
