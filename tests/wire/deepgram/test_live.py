"""Deepgram's live stream as a translation: what its messages mean, and how events are told."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from cohear_server.core import commands, events
from cohear_server.core.jobs import HypothesisWord
from cohear_server.core.ledger import SampleCount
from cohear_server.errors import ClientError, ServerError
from cohear_server.live.outbox import Outgoing
from cohear_server.wire.deepgram.live import DeepgramWire, ends
from cohear_server.wire.deepgram.query import Asked, read_query
from cohear_server.wire.deepgram.text import alternative
from hypothesis import given
from hypothesis import strategies as st

SECOND = 16_000


def wire_of(**query: str) -> DeepgramWire:
    items = {"encoding": "linear16", "sample_rate": "16000", **query}.items()
    return DeepgramWire(Asked(read_query(items), "r-1", "2026-01-01T00:00:00.000Z"), lambda: "00ff")


def told(wire: DeepgramWire, *happened: events.Event) -> list[dict[str, Any]]:
    return [json.loads(said) for event in happened for said in wire.tell(Outgoing(event))]


def words(text: str, start: int, end: int) -> events.Words:
    parts = text.split()
    step = (end - start) // max(len(parts), 1)
    return tuple(HypothesisWord(part, start + i * step, start + (i + 1) * step, 0.9) for i, part in enumerate(parts))


def partial(segment: int, text: str, start: int, end: int) -> events.Partial:
    return events.Partial(1, segment, 1, text, "", 0.9, end, words(text, start, end))


def final(segment: int, text: str, start: int, end: int, reason: events.Reason = "endpoint") -> events.Final:
    return events.Final(1, segment, text, 0.9, "en", start, end, reason, "tiny.en", words(text, start, end))


def transcript(results: dict[str, Any]) -> str:
    return str(results["channel"]["alternatives"][0]["transcript"])


def test_a_final_has_all_that_clients_index() -> None:
    wire = wire_of(punctuate="true")
    (results,) = told(wire, events.Ready("s", "t", "tiny.en"), final(0, "Hello, World.", 8_000, 24_000))
    assert results["type"] == "Results"
    assert (results["start"], results["duration"]) == (0.0, 1.5)
    assert results["is_final"] is results["speech_final"] is True
    assert results["from_finalize"] is False
    assert results["channel_index"] == [0, 1]
    assert results["metadata"]["request_id"] == "r-1"
    assert results["metadata"]["model_info"]["name"] == "tiny.en"
    (alternative,) = results["channel"]["alternatives"]
    assert alternative["transcript"] == "Hello, World."
    assert alternative["confidence"] == 0.9
    first = alternative["words"][0]
    assert first == {"word": "hello", "punctuated_word": "Hello,", "start": 0.5, "end": 1.0, "confidence": 0.9}


def test_without_punctuate_the_text_is_plain() -> None:
    (results,) = told(wire_of(), final(0, "It's $5, or 10%. — No!", 0, SECOND))
    assert transcript(results) == "it's $5 or 10% no"
    assert all("punctuated_word" not in word for word in results["channel"]["alternatives"][0]["words"])


def test_an_interim_covers_all_since_the_last_final() -> None:
    wire = wire_of(interim_results="true")
    heard = told(
        wire,
        final(0, "one", 0, SECOND),
        partial(1, "two", 2 * SECOND, 3 * SECOND),
        partial(2, "three", 4 * SECOND, 5 * SECOND),
        final(1, "two", 2 * SECOND, 3 * SECOND),
        partial(2, "three four", 4 * SECOND, 6 * SECOND),
        final(2, "three four", 4 * SECOND, 7 * SECOND),
    )
    assert [transcript(one) for one in heard] == ["one", "two", "two three", "two", "three four", "three four"]
    assert [one["is_final"] for one in heard] == [True, False, False, True, False, True]
    ranges = [(one["start"], one["start"] + one["duration"]) for one in heard]
    assert ranges == [(0, 1), (1, 3), (1, 5), (1, 3), (3, 6), (3, 7)]


@given(st.lists(st.tuples(st.integers(0, 9 * SECOND), st.integers(0, SECOND)), max_size=9))
def test_words_come_one_behind_the_other(spans: list[tuple[int, int]]) -> None:
    said = tuple(HypothesisWord("a", start, start + length, 0.5) for start, length in spans)
    told_words = alternative(said, "en", punctuated=False).words
    times = [time for word in told_words for time in (word.start, word.end)]
    assert len(told_words) == len(spans)
    assert times == sorted(times)


@given(st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(1, 9 * SECOND)), max_size=12))
def test_finals_lie_end_to_end(lengths: list[tuple[int, int]]) -> None:
    wire, at = wire_of(), 0
    happened: list[events.Event] = []
    for number, (pause, length) in enumerate(lengths):
        happened.append(final(number, "w", at + pause, at + pause + length))
        at += pause + length
    reached = 0.0
    for results in told(wire, *happened):
        assert results["start"] == pytest.approx(reached, abs=1e-6)
        assert results["duration"] > 0
        reached = results["start"] + results["duration"]
    assert reached == pytest.approx(at / SECOND, abs=1e-6)


@pytest.mark.parametrize(
    ("reason", "speech_final"), [("endpoint", True), ("max_length", False), ("finalize", False), ("stop", True)]
)
def test_speech_final_is_the_end_of_an_utterance(reason: events.Reason, speech_final: bool) -> None:
    (results,) = told(wire_of(), final(0, "a", 0, SECOND, reason))
    assert results["speech_final"] is speech_final
    (results,) = told(wire_of(endpointing="false"), final(0, "a", 0, SECOND, reason))
    assert results["speech_final"] is False


def test_each_finalize_is_acknowledged_once() -> None:
    wire = wire_of()
    said = [command for _ in range(3) for command in wire.hear('{"type": "Finalize"}')]
    marks = [command.mark for command in said if isinstance(command, commands.Finalize)]
    assert len(set(marks)) == 3
    heard = told(
        wire,
        final(0, "a", 0, SECOND),
        final(1, "b", SECOND, 2 * SECOND, "finalize"),
        events.Finalized(marks[0]),
        events.Finalized(marks[1]),
        final(2, "", 2 * SECOND, 3 * SECOND, "finalize"),
        events.Finalized(marks[2]),
    )
    assert [one["from_finalize"] for one in heard] == [False, True, True, True]
    assert [transcript(one) for one in heard] == ["a", "b", "", ""]
    assert all(one["is_final"] for one in heard)


def test_a_lost_segment_is_told_and_its_text_is_no_part_of_later_interims() -> None:
    wire = wire_of(interim_results="true")
    fault = ServerError("decode_failed", "a segment could not be decoded", "send it again")
    _, error, later = told(
        wire, partial(0, "a", 0, SECOND), events.Lost(0, 0, SECOND, fault), partial(1, "b", SECOND, 2 * SECOND)
    )
    assert error["type"] == "Error"
    assert error["variant"] == "DECODE_FAILED"
    assert (transcript(later), later["start"]) == ("b", 1.0)


def test_speech_started_is_told_where_it_is_asked_for() -> None:
    assert told(wire_of(), events.SpeechStarted(SECOND)) == []
    (started,) = told(wire_of(vad_events="True"), events.SpeechStarted(SECOND))
    assert started == {"type": "SpeechStarted", "channel": [0, 1], "timestamp": 1.0}


def heard_by(wire: DeepgramWire, seconds: float) -> list[dict[str, Any]]:
    """What the wire tells by itself when so much silence came."""
    own = [item for item in wire.hear(bytes(2 * int(SECOND * seconds))) if isinstance(item, events.Heard)]
    return told(wire, *own)


def test_an_utterance_ends_once_and_not_before_its_final() -> None:
    wire = wire_of(utterance_end_ms="1000")
    assert heard_by(wire, 5.0) == []  # nobody spoke
    told(wire, events.SpeechStarted(5 * SECOND))
    assert heard_by(wire, 1.0) == []
    told(wire, events.SpeechEnded(6 * SECOND))
    assert heard_by(wire, 2.0) == []  # the final is still to come
    told(wire, final(0, "a b", 5 * SECOND, 6 * SECOND))
    (ended,) = heard_by(wire, 0.1)
    assert ended == {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 6.0}
    assert heard_by(wire, 5.0) == []


def test_an_utterance_goes_on_where_the_next_word_comes_in_time() -> None:
    wire = wire_of(utterance_end_ms="1500")
    told(wire, events.SpeechStarted(0), events.SpeechEnded(SECOND), final(0, "a", 0, SECOND))
    assert heard_by(wire, 2.0) == []
    told(wire, events.SpeechStarted(2 * SECOND), events.SpeechEnded(3 * SECOND), final(1, "b", 2 * SECOND, 3 * SECOND))
    assert heard_by(wire, 2.0) == []
    (ended,) = heard_by(wire, 0.5)
    assert ended["last_word_end"] == 3.0


def test_the_end() -> None:
    wire = wire_of(sample_rate="8000", channels="2")
    assert list(wire.hear('{"type": "CloseStream"}')) == [commands.Stop()]
    assert list(wire.hear(b"late")) == []
    (metadata,) = told(wire, events.Done(SampleCount(12_000, 12_000, 0, 0), 1))
    assert metadata["type"] == "Metadata"
    assert metadata["duration"] == 1.5
    assert metadata["channels"] == 2
    assert metadata["sha256"] == "00ff"
    assert metadata["created"] == "2026-01-01T00:00:00.000Z"
    assert metadata["request_id"] == "r-1"


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=20))
def test_audio_that_is_cut_anywhere_is_whole_again(pieces: list[bytes]) -> None:
    wire = wire_of(channels="2")
    whole = b"".join(pieces)
    given_on = [c.data for piece in pieces for c in wire.hear(piece) if isinstance(c, commands.Audio)]
    assert all(len(data) % 4 == 0 for data in given_on)
    assert b"".join(given_on) == whole[: len(whole) // 4 * 4]


def test_keyterms_can_be_changed() -> None:
    wire = wire_of(keyterm="Cohear")
    change, answer = wire.hear('{"type": "Configure", "keyterms": ["Ada", "Turing"], "features": {"numerals": true}}')
    assert change == commands.Configure(prompt="Ada, Turing")
    assert isinstance(answer, events.Heard)
    assert told(wire, answer) == [{"type": "ConfigureSuccess", "request_id": "r-1", "keyterms": ["Ada", "Turing"]}]
    (refused,) = wire.hear(json.dumps({"type": "Configure", "keyterms": ["x" * 2_000]}))
    assert isinstance(refused, events.Heard)
    (failure,) = told(wire, refused)
    assert failure["code"] == "CONFIGURE_KEYTERM_LIMIT_EXCEEDED"


@pytest.mark.parametrize("said", ["", "{", "[]", "{}", '{"type": "Speak"}', '{"type": "Configure", "keyterms": 5}'])
def test_a_wrong_message_is_refused(said: str) -> None:
    with pytest.raises(ClientError) as fault:
        list(wire_of().hear(said))
    (error,) = told(wire_of(), events.Failed(fault.value, fatal=False))
    assert error["type"] == "Error"
    assert error["variant"] == "SchemaError"
    assert error["description"]


@given(st.one_of(st.text(max_size=80), st.binary(max_size=80), st.sampled_from(['{"type":"Finalize"}', "{}"])))
def test_nothing_that_is_said_breaks_the_wire(said: str | bytes) -> None:
    with contextlib.suppress(ClientError):
        list(wire_of().hear(said))


def test_the_end_of_audio() -> None:
    assert ends(b"")
    assert ends('{"type": "CloseStream"}')
    assert not any(ends(said) for said in (b"a", "", "{", '{"type": "Finalize"}'))


@pytest.mark.parametrize(
    ("code", "variant", "close"), [("idle_timeout", "NET-0001", 1011), ("bad_audio", "DATA-0000", 1008)]
)
def test_faults_have_the_names_that_clients_know(code: str, variant: str, close: int) -> None:
    fault = ClientError(code, "what", "do")
    (error,) = told(wire_of(), events.Failed(fault))
    assert error["variant"] == variant
    assert wire_of().close_code(fault) == close
    assert wire_of().close_code(None) == 1000
