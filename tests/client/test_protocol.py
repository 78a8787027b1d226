from __future__ import annotations

import contextlib
import json
from typing import Any, get_args

import pytest
from cohear_client import protocol
from cohear_client.errors import ClientError, CohearError, OverloadError, ServerError
from cohear_client.messages import tag_of
from cohear_client.protocol import ClientMessage, ServerMessage, decode_client, decode_server, encode
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def values(declared: inspect.Type) -> st.SearchStrategy[Any]:
    """Whatever the declared type allows."""
    match declared:
        case inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: values(field.type) for field in fields})
        case inspect.UnionType(types=types):
            return st.one_of(*map(values, types))
        case inspect.VarTupleType(item_type=item):
            return st.lists(values(item), max_size=3).map(tuple)
        case inspect.LiteralType(values=allowed):
            return st.sampled_from(allowed)
        case inspect.StrType(max_length=longest):
            return TEXT if longest is None else TEXT.map(lambda text: text[:longest])
        case inspect.IntType(ge=low, le=high):
            return st.integers(-(2**63) if low is None else low, 2**63 if high is None else high)
    return {inspect.FloatType: FINITE, inspect.BoolType: st.booleans(), inspect.NoneType: st.none()}[type(declared)]


def messages(kinds: Any) -> st.SearchStrategy[Any]:
    return st.one_of(*(values(inspect.type_info(kind)) for kind in get_args(kinds)))


@given(messages(ClientMessage))
def test_every_client_message_comes_back_equal(message: ClientMessage) -> None:
    assert decode_client(encode(message)) == message


@given(messages(ServerMessage))
def test_every_server_message_comes_back_equal(message: ServerMessage) -> None:
    assert decode_server(encode(message)) == message


@given(messages(ClientMessage) | messages(ServerMessage))
def test_the_type_comes_first_and_nothing_is_null(message: ClientMessage | ServerMessage) -> None:
    text = encode(message)
    assert text.startswith('{"type":"' + tag_of(message) + '"')
    assert None not in json.loads(text).values()


@given(st.text() | JSON.map(json.dumps))
def test_arbitrary_text_is_the_clients_fault_and_nothing_else(text: str) -> None:
    for decode in (decode_client, decode_server):
        with pytest.raises(ClientError):
            decode(text)


KINDS = [tag_of(m) for m in (*get_args(ClientMessage), *get_args(ServerMessage))]
FIELDS = sorted(
    {name for m in (*get_args(ClientMessage), *get_args(ServerMessage)) for name in m.__struct_fields__} | {"x"}
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
    text = json.dumps({"type": "partial", "words": words})
    with pytest.raises(ClientError, match=r"words\[1\]"):
        decode_server(text)


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
