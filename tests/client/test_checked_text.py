from __future__ import annotations

from collections.abc import Callable

import pytest
from cohear_client.errors import ClientError
from cohear_client.messages import check_text
from cohear_client.protocol import Configure, Finalize, Start
from hypothesis import given
from hypothesis import strategies as st

BAD = ["half \ud83d", "\udc80", "nul \0", "<|endoftext|>", "a <|de|> b", "<|0.00|>"]
FIELDS: list[tuple[str, Callable[[str], object]]] = [
    ("prompt", lambda text: Start(prompt=text)),
    ("prompt", lambda text: Configure(prompt=text)),
    ("hotwords[1]", lambda text: Start(hotwords=("Ann", text))),
    ("languages[0]", lambda text: Start(languages=(text,))),
    ("id", Finalize),
]


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize(("field", "make"), FIELDS, ids=lambda value: value if isinstance(value, str) else "")
def test_text_that_is_no_text_is_refused_at_the_door(field: str, make: Callable[[str], object], text: str) -> None:
    with pytest.raises(ClientError) as fault:
        make(text)
    assert fault.value.code == "bad_field"
    assert repr(field) in fault.value.message
    assert fault.value.remedy
    str(fault.value).encode()  # and can be sent


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0<")))
def test_all_other_text_is_taken(text: str) -> None:
    check_text("prompt", text)


def test_what_only_looks_like_a_token_is_taken() -> None:
    check_text("prompt", "if x <| y, use | or >")
