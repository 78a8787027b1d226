from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest
from cohear_client.errors import ClientError
from cohear_client.messages import Checked, check_text, decode, encode, plain, tag_of


class Place(Checked, frozen=True):
    name: Annotated[str, msgspec.Meta(max_length=4)]


class Ask(Checked, frozen=True, tag="ask", tag_field="event"):
    count: Annotated[int, msgspec.Meta(ge=1, le=3)] = 1
    kind: Literal["a", "b"] = "a"
    whole: bool = True
    share: float = 0.5
    place: Place | None = None
    places: tuple[Place, ...] = ()
    note: str | None = None


class Tell(msgspec.Struct, frozen=True, tag="tell", tag_field="event"):
    at_s: float
    note: str | None = None


DECODER: msgspec.json.Decoder[Ask | Tell] = msgspec.json.Decoder(Ask | Tell)


@pytest.mark.parametrize(
    ("fields", "field", "remedy"),
    [
        ('"count":7', "count' is 7", "use 1 to 3"),
        ('"count":true', "count' is True", "a whole number"),
        ('"count":"7"', "count' is '7'", "a whole number"),
        ('"kind":"c"', "kind' is 'c'", "one of a, b"),
        ('"whole":1', "whole' is 1", "true or false"),
        ('"share":"half"', "share' is 'half'", "a number"),
        ('"share":1' + "0" * 400, "share' is 1000", "a smaller number"),
        ('"note":7', "note' is 7", "a string"),
        ('"place":7', "place' is 7", "an object"),
        ('"places":{}', "places' is {}", "an array"),
        ('"place":{"name":"Paris"}', "place.name' is 5 characters long", "at most 4 characters"),
        ('"places":[{"name":"Rome"},{"name":"Paris"}]', r"places\[1\].name' is 5 characters long", "at most 4"),
        ('"places":[{}]', r"places\[0\].name' is missing", "add it"),
        ('"places":[{"name":"Rome","size":3}]', r"places\[0\].size' is not a known field", "known fields: name"),
        ('"cuont":1', "cuont' is not a known field", "known fields: count, kind"),
        ('"a - at `$.note`":1', "is not a known field", "known fields"),
        ('"note":"a\\u0000"', "note' holds NUL", "valid Unicode"),
        ('"note":"\\ud800"', "note' holds NUL or half", "valid Unicode"),
        ('"note":"a<|endoftext|>b"', "note' holds the special token", "leave it out"),
    ],
)
def test_the_wrong_field_is_named_with_its_value_and_a_remedy(fields: str, field: str, remedy: str) -> None:
    with pytest.raises(ClientError, match=field) as caught:
        decode('{"event":"ask",' + fields + "}", DECODER)
    assert caught.value.code == "bad_field"
    assert remedy in caught.value.remedy
    assert len(caught.value.message) < 120


def test_a_message_is_held_to_its_limits_however_it_is_made() -> None:
    with pytest.raises(ClientError, match="'count' is 7") as caught:
        Ask(count=7)
    assert caught.value.remedy == "use 1 to 3"
    with pytest.raises(ClientError, match="'note'"):
        Ask(note="\ud800")
    with pytest.raises(ClientError, match="'kind' is 'c'"):
        Ask(kind="c")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_json"),
        ("[1]", "bad_json"),
        ("[" * 100_000, "bad_json"),
        ('{"event":"tell","at_s":NaN}', "bad_json"),
        ('{"event":"tell","at_s":1,"more":' + "[" * 100_000, "bad_json"),
        ("{}", "unknown_type"),
        ('{"event":7}', "unknown_type"),
        ('{"event":"shout"}', "unknown_type"),
        ('{"event":"tell"}', "bad_field"),
    ],
)
def test_what_is_no_message_is_refused_with_a_code(text: str, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        decode(text, DECODER)
    assert caught.value.code == code
    assert caught.value.remedy


def test_the_known_types_are_named() -> None:
    with pytest.raises(ClientError, match="event 'shout' is unknown") as caught:
        decode('{"event":"shout"}', DECODER)
    assert caught.value.remedy == "known types: ask, tell"


def test_only_what_clients_say_is_held_to_known_fields() -> None:
    assert decode('{"event":"tell","at_s":1,"news":{"a":[1]}}', DECODER) == Tell(1.0)


def test_what_is_none_is_left_out() -> None:
    assert encode(Tell(1.5)) == '{"event":"tell","at_s":1.5}'
    assert plain(Tell(1.5, "é")) == {"event": "tell", "at_s": 1.5, "note": "é"}
    assert tag_of(Tell(1.5)) == tag_of(Tell) == "tell"


def test_ordinary_text_is_let_through() -> None:
    for text in ("", "a < b | c > d", "naïve 東京 🙂", "line\nline\ttab", "<b>bold</b>"):
        check_text("note", text)
