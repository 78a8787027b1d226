from __future__ import annotations

import re
from pathlib import Path

import cohear_client
import pytest
from cohear_client.writing import UNSPACED, joined_texts, joined_words, lead
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("words", "language", "text"),
    [
        (["so", "it", "is"], "en", "so it is"),
        (["今日", "は", " Hello", " World", "です。", " いい"], "ja", "今日は Hello Worldです。 いい"),
        ([" and", " so", " my"], "zh", "and so my"),
        (["ខ្ញុំ", "ទៅ"], "km", "ខ្ញុំទៅ"),
        ([], "th", ""),
    ],
)
def test_words_make_a_text(words: list[str], language: str, text: str) -> None:
    assert joined_words(words, language) == text
    assert "".join(lead(word, language) + word.strip() for word in words).strip() == text


@pytest.mark.parametrize(
    ("texts", "language", "line"),
    [
        (["One.", "", " Two. "], "en", "One. Two."),
        (["你好", "世界"], "zh", "你好世界"),
        (["Ask not.", "Ask what"], "zh", "Ask not. Ask what"),
        (["用Windows", "和Mac"], "zh", "用Windows和Mac"),
    ],
)
def test_texts_make_a_line(texts: list[str], language: str, line: str) -> None:
    assert joined_texts(texts, language) == line


@given(st.lists(st.text(min_size=1).map(str.strip).filter(bool)), st.sampled_from(["en", "ja"]))
def test_no_character_is_lost(texts: list[str], language: str) -> None:
    line = joined_texts(texts, language)
    assert re.sub(r"\s", "", line) == re.sub(r"\s", "", "".join(texts))


def test_the_page_has_the_same_languages() -> None:
    script = (Path(cohear_client.__file__).parent / "web" / "transcript.js").read_text()
    table = re.search(r"UNSPACED = new Set\(\[(.*?)\]\)", script)
    assert table
    assert set(re.findall(r"'(\w+)'", table[1])) == UNSPACED
