from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any, get_args

import pytest
from cohear_client import protocol
from cohear_client.codec import build
from cohear_client.errors import ClientError, CohearError, OverloadError, ServerError
from cohear_client.protocol import ClientMessage, ServerMessage, decode_client, decode_server, encode
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
RULED = {
    "sample_rate": st.integers(8_000, 48_000),
    "channels": st.integers(1, 8),
    "endpoint_ms": st.none() | st.integers(100, 5_000),
}
st.register_type_strategy(float, FINITE)


def messages(kinds: Any) -> st.SearchStrategy[Any]:
    return st.one_of(
        *(
            st.builds(kind, **{f.name: RULED[f.name] for f in dataclasses.fields(kind) if f.name in RULED})
            for kind in get_args(kinds)
        )
    )


@given(messages(ClientMessage))
def test_every_client_message_comes_back_equal(message: ClientMessage) -> None:
    assert decode_client(encode(message)) == message


@given(messages(ServerMessage))
def test_every_server_message_comes_back_equal(message: ServerMessage) -> None:
    assert decode_server(encode(message)) == message


@given(st.text() | JSON.map(json.dumps))
def test_arbitrary_text_is_the_clients_fault_and_nothing_else(text: str) -> None:
    for decode in (decode_client, decode_server):
        with pytest.raises(ClientError):
            decode(text)


KINDS = [m.TYPE for m in (*get_args(ClientMessage), *get_args(ServerMessage))]
FIELDS = sorted(
    {f.name for m in (*get_args(ClientMessage), *get_args(ServerMessage)) for f in dataclasses.fields(m)} | {"x"}
)


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=12))
def test_arbitrary_fields_never_raise_anything_but_a_client_error(kind: str, fields: dict[str, Any]) -> None:
    text = json.dumps({**fields, "type": kind})
    for decode in (decode_client, decode_server):
        with contextlib.suppress(ClientError):
            decode(text)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ClientError):
        decode_client("[" * 100_000)


def test_the_wrong_field_is_named() -> None:
    with pytest.raises(ClientError, match=r"samples\.received") as caught:
        decode_server('{"type":"done","segments":1,"samples":{"received":"many"}}')
    assert "whole number" in caught.value.remedy


def test_clients_may_not_misspell_but_servers_may_say_more() -> None:
    with pytest.raises(ClientError, match="langage"):
        decode_client('{"type":"start","langage":"en"}')
    assert decode_server('{"type":"finalized","id":"a","news":1}') == protocol.Finalized("a")


def test_a_list_of_words_names_its_index() -> None:
    words = [{"text": "a", "start_s": 0, "end_s": 1, "confidence": 1}, 7]
    fields = {"seq": 1, "segment_id": 1, "text": "", "confidence": 1, "model": "", "words": words}
    with pytest.raises(ClientError, match=r"words\[1\]"):
        build(protocol.Refined, fields)


def test_a_number_beyond_floats_is_refused() -> None:
    with pytest.raises(ClientError, match="at_s"):
        decode_server('{"type":"speech_started","at_s":1' + "0" * 400 + "}")


@pytest.mark.parametrize(
    "fault",
    [ClientError("a", "b", "c"), ServerError("internal", "b"), OverloadError("full", "b", "c", retry_after_s=2.5)],
)
def test_exceptions_survive_the_wire(fault: CohearError) -> None:
    message = decode_server(encode(protocol.error_message(fault)))
    assert isinstance(message, protocol.Error)
    back = protocol.error_exception(message)
    assert type(back) is type(fault)
    assert vars(back) == vars(fault)
