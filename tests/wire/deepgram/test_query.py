"""The parameters in the address: what is honoured, what is ignored, and what is refused by name."""

from __future__ import annotations

import pytest
from cohear_server.core.audio import AudioFormat
from cohear_server.errors import ClientError
from cohear_server.wire.deepgram.query import Query, read_query
from hypothesis import given
from hypothesis import strategies as st


def query(text: str) -> Query:
    return read_query(tuple(item.partition("=")[::2]) for item in text.split("&") if item)  # type: ignore[misc]


def test_nothing_asked_for_is_a_container_in_english() -> None:
    asked = query("")
    start = asked.start()
    assert asked.packed
    assert (start.language, start.partials, start.endpoint_ms, start.prompt) == ("en", False, None, None)


@pytest.mark.parametrize(
    ("text", "fmt"),
    [
        ("encoding=linear16&sample_rate=48000&channels=2", AudioFormat(48_000, "pcm_s16le", 2)),
        ("encoding=linear32&sample_rate=16000", AudioFormat(16_000, "pcm_f32le")),
        ("encoding=mulaw", AudioFormat(8_000, "mulaw")),
        ("encoding=alaw&sample_rate=16000", AudioFormat(16_000, "alaw")),
    ],
)
def test_samples_are_taken_as_they_are(text: str, fmt: AudioFormat) -> None:
    assert query(text).start().format == fmt
    assert not query(text).packed


@pytest.mark.parametrize("encoding", ["flac", "opus", "ogg-opus"])
def test_a_container_is_unpacked(encoding: str) -> None:
    asked = query(f"encoding={encoding}&sample_rate=48000&channels=2")
    assert asked.packed
    assert asked.start().format == AudioFormat()


def test_what_clients_send() -> None:
    asked = query(
        "model=nova-3&encoding=linear16&sample_rate=16000&interim_results=True&punctuate=true&smart_format=false"
        "&endpointing=25&vad_events=1&language=en-US&keyterm=Ada&keyterm=Alan+Turing&keywords=cat:2.5&tag=a&diarize=x"
    )
    start = asked.start()
    assert start.model is None  # of another vendor: the loaded one hears it
    assert (start.language, start.partials, start.endpoint_ms) == ("en", True, 300)
    assert start.prompt == "Ada, Alan+Turing, cat"
    assert asked.punctuated
    assert asked.vad_events


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("", None),
        ("endpointing=false", None),
        ("endpointing=True", None),
        ("endpointing=0", 300),
        ("endpointing=800", 800),
        ("endpointing=60000", 5_000),
    ],
)
def test_endpointing(text: str, ms: int | None) -> None:
    assert query(text).start().endpoint_ms == ms


@pytest.mark.parametrize(
    ("text", "language"),
    [("language=multi", None), ("detect_language=true", None), ("language=pt-BR", "pt"), ("language=German", "de")],
)
def test_languages(text: str, language: str | None) -> None:
    assert query(text).start().language == language


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("encoding=linear16", "sample_rate"),
        ("encoding=speex", "encoding"),
        ("sample_rate=100", "sample_rate"),
        ("channels=many", "channels"),
        ("encoding=mulaw&channels=2&multichannel=true", "multichannel"),
        ("interim_results=maybe", "interim_results"),
        ("endpointing=soon", "endpointing"),
        ("utterance_end_ms=5", "utterance_end_ms"),
        ("language=klingon", "language"),
        ("callback=http://10.0.0.1/", "callback"),
        ("keyterm=" + "x" * 2_000, "keyterm"),
        ("keyterm=<|nospeech|>", "keyterm"),
    ],
)
def test_what_has_no_meaning_is_refused_by_name(text: str, field: str) -> None:
    with pytest.raises(ClientError, match=field) as fault:
        query(text).start()
    assert fault.value.remedy


NAMES = st.sampled_from([*Query.__struct_fields__, "model", "diarize"])


@given(st.lists(st.tuples(NAMES, st.one_of(st.text(max_size=12), st.sampled_from(["true", "16000", "linear16"])))))
def test_any_query_is_a_stream_or_a_clear_refusal(items: list[tuple[str, str]]) -> None:
    try:
        read_query(items).start()
    except ClientError as caught:
        fault = caught
    else:
        return
    assert fault.message.startswith("field ")
    assert fault.remedy
