"""Whatever an engine answers, each client can be told it, or hears that it is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cohear_client.protocol import encode
from cohear_server.core.events import Final
from cohear_server.core.jobs import DecodeJob, DecodeOptions, DecodeResult, HypothesisWord, JobKind
from cohear_server.scheduling.answers import MAX_WORDS, in_order, usable
from cohear_server.wire.native import to_message
from hypothesis import given
from hypothesis import strategies as st

WINDOW = 16_000
GOOD = DecodeResult("a", "one two", (HypothesisWord("one", 0, 8_000, 0.5), HypothesisWord("two", 8_000, 16_000, 1.0)))
ANY = st.floats() | st.integers(-(10**12), 10**12)


def final_of(result: DecodeResult) -> Final:
    return Final(
        seq=1,
        segment_id=0,
        text=result.text,
        confidence=result.confidence,
        language=result.language,
        start=0,
        end=WINDOW,
        reason="endpoint",
        model="fake",
        words=result.words,
    )


def no_number(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


@given(start=ANY, end=ANY, probability=ANY, confidence=ANY, figure=ANY)
def test_figures_that_are_none_cost_no_text(
    start: Any, end: Any, probability: Any, confidence: Any, figure: Any
) -> None:
    word = HypothesisWord("one", start, end, probability)
    told = usable(
        replace(GOOD, words=(word,), confidence=confidence, wait_ms=figure, decode_ms=figure, encode_ms=figure), WINDOW
    )
    (heard,) = told.words
    assert (told.error, told.text, heard.text) == (None, "one two", "one")
    assert 0 <= heard.start_samples <= heard.end_samples <= WINDOW
    assert 0 <= heard.probability <= 1
    assert all(0 <= value < float("inf") for value in (told.wait_ms, told.decode_ms, told.encode_ms))
    message = json.loads(encode(to_message(final_of(told))), parse_constant=no_number)
    assert 0 <= message["confidence"] <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"text": None},
        {"text": "\ud800"},
        {"language": None},
        {"words": None},
        {"words": (HypothesisWord("\udfff", 0, 1, 1.0),)},
        {"words": GOOD.words * MAX_WORDS},
        {"error": ValueError("no fault of ours")},
    ],
)
def test_a_text_that_is_none_is_a_fault_of_its_window_alone(change: dict[str, Any]) -> None:
    jobs = [
        DecodeJob(name, "s", "", 0, np.zeros(WINDOW, np.int16), JobKind.FINAL, 1.0, DecodeOptions("fake"))
        for name in ("a", "b")
    ]
    bad, good = in_order(jobs, [replace(GOOD, **change), replace(GOOD, job_id="b")])
    assert bad.error is not None
    assert bad.error.code == "decode_failed"
    assert good == replace(GOOD, job_id="b")


def test_what_is_right_is_handed_on_as_it_is() -> None:
    assert usable(GOOD, WINDOW) is GOOD
