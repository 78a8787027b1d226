"""Which decodes of the open segment are under way, and which are to be cancelled when."""

from __future__ import annotations

from cohear_server.core.attempts import Attempt, Attempts, Span
from cohear_server.core.jobs import DecodeResult


def attempt(name: str, end: int = 16_000) -> Attempt:
    return Attempt(name, Span(0, end), 0.0)


def test_a_partial_that_waits_gives_way_to_a_newer_one_and_one_in_the_engine_does_not() -> None:
    attempts = Attempts()
    attempts.partial(attempt("old"))
    attempts.partial(attempt("new"))
    assert attempts.begun("old") is None
    assert attempts.begun("new") == Span(0, 16_000)
    attempts.partial(attempt("newest"))
    assert attempts.resolve(DecodeResult("old")) is None
    assert attempts.resolve(DecodeResult("new")) is not None
    assert attempts.close() == ["newest"]


def test_what_was_decoded_at_a_pause_is_the_final_only_where_the_segment_ends_there() -> None:
    attempts = Attempts()
    attempts.speculate(attempt("pause", end=16_000))
    assert attempts.final(17_000) is None
    found = attempts.final(16_000)
    assert found is not None
    assert found.job_id == "pause"
    assert attempts.close() == [], "it is no attempt any more"


def test_a_speculation_that_was_taken_back_may_still_be_heard_and_is_cancelled_once() -> None:
    attempts = Attempts()
    attempts.speculate(attempt("pause"))
    assert attempts.take_back() == ["pause"]
    assert attempts.take_back() == []
    assert attempts.close() == []
    attempts.speculate(attempt("second"))
    assert attempts.take_back() == ["second"]
    assert attempts.resolve(DecodeResult("second")) is not None


def test_a_speculation_whose_result_is_there_is_given_up_with_the_segment() -> None:
    """Whoever times its job is told that nothing more comes of it."""
    attempts = Attempts()
    attempts.speculate(attempt("pause"))
    attempts.resolve(DecodeResult("pause", "text"))
    assert attempts.close() == ["pause"]
