from __future__ import annotations

import pytest
from cohear_client.errors import ClientError
from cohear_client.languages import is_language, language_code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *((text, "de") for text in ("de", "DE", "German", "de-AT", "de_CH", "ger", "deu")),
        *(("Mandarin", "zh"), ("zh-Hans-CN", "zh"), ("cantonese", "yue"), ("haw", "haw"), ("jv", "jw"), (" fr ", "fr")),
    ],
)
def test_names_codes_and_regions_in_any_case(text: str, code: str) -> None:
    assert language_code(text) == code
    assert is_language(text, code)


@pytest.mark.parametrize("text", ["", "klingon", "d", "en1"])
def test_what_is_no_language_is_refused(text: str) -> None:
    with pytest.raises(ClientError, match="no language known here: give a code or an English name"):
        language_code(text)


def test_unknown_codes_are_themselves() -> None:
    assert is_language("tlh", "TLH")
    assert not is_language("", "de")
    assert not is_language("und", "en")
