from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cohear_server.core.jobs import DecodeOptions
from cohear_server.engine.prompts import MAX_NEW_TOKENS, MAX_PROMPT_TOKENS, POSITIONS, Vocabulary
from cohear_server.engine.whisper import max_length
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

SOT, EN, DE, TRANSLATE, TRANSCRIBE, PREVIOUS, NO_TIMESTAMPS = 50258, 50259, 50260, 50358, 50359, 50361, 50363


@pytest.fixture(scope="module")
def tokenizer(random_model_dir: Callable[[int], Path]) -> Tokenizer:
    return Tokenizer.from_file(str(random_model_dir(80) / "tokenizer.json"))


@pytest.fixture(scope="module")
def multilingual(tokenizer: Tokenizer) -> Vocabulary:
    return Vocabulary(tokenizer, multilingual=True)


def test_multilingual_prompt(multilingual: Vocabulary) -> None:
    prompt = multilingual.prompt(DecodeOptions("m"), "de")
    assert prompt.tokens == [SOT, DE, TRANSCRIBE, NO_TIMESTAMPS]
    assert prompt.start == (SOT, DE, TRANSCRIBE)
    assert multilingual.prompt(DecodeOptions("m", task="translate"), "en").tokens[1:3] == [EN, TRANSLATE]


def test_english_only_prompt(tokenizer: Tokenizer) -> None:
    vocabulary = Vocabulary(tokenizer, multilingual=False)
    assert vocabulary.languages == ("en",)
    assert vocabulary.prompt(DecodeOptions("m"), "en").tokens == [SOT, NO_TIMESTAMPS]


def test_previous_text_stands_before_the_start(multilingual: Vocabulary) -> None:
    prompt = multilingual.prompt(DecodeOptions("m", prompt=" said before "), "en")
    assert prompt.tokens[0] == PREVIOUS
    assert multilingual.text(prompt.previous) == " said before"
    assert prompt.tokens[-4:] == [SOT, EN, TRANSCRIBE, NO_TIMESTAMPS]
    assert multilingual.prompt(DecodeOptions("m", prompt="  "), "en").previous == ()


def test_a_long_previous_text_loses_its_beginning(multilingual: Vocabulary) -> None:
    prompt = multilingual.prompt(DecodeOptions("m", prompt="first " + "word " * 500 + "last"), "en")
    assert len(prompt.previous) == 1 + MAX_PROMPT_TOKENS
    assert multilingual.text(prompt.previous).endswith("last")


def test_hotwords_stand_before_the_prompt_and_each_has_half_of_the_room(multilingual: Vocabulary) -> None:
    both = multilingual.prompt(DecodeOptions("m", hotwords="Cohear, Ann", prompt="said before"), "en")
    assert multilingual.text(both.previous) == " Cohear, Ann. said before"
    long = DecodeOptions("m", hotwords="first " + "hot " * 500, prompt="cold " * 500 + "last")
    text = multilingual.text(multilingual.prompt(long, "en").previous)
    assert (text.split()[0], text.split()[-1]) == ("first", "last")
    assert text.count("hot") >= MAX_PROMPT_TOKENS // 2 - 5
    alone = multilingual.prompt(replace(long, prompt="a few words"), "en")
    assert len(alone.previous) == 1 + MAX_PROMPT_TOKENS
    assert multilingual.text(alone.previous).endswith("a few words")


def test_special_tokens_cannot_be_written_into_the_prompt(multilingual: Vocabulary) -> None:
    prompt = multilingual.prompt(DecodeOptions("m", prompt="a<|endoftext|><|de|>b"), "en")
    assert all(token < multilingual.end_of_text for token in prompt.previous[1:])


def test_languages_are_those_of_the_vocabulary(
    multilingual: Vocabulary, random_model_dir: Callable[[int], Path]
) -> None:
    assert len(multilingual.languages) == 99
    assert multilingual.languages[:3] == ("en", "de", "ja")
    large = Tokenizer.from_file(str(random_model_dir(128) / "tokenizer.json"))
    assert len(Vocabulary(large, multilingual=True).languages) == 100


def test_other_vocabularies_are_refused() -> None:
    from tokenizers import models

    with pytest.raises(ValueError, match="not a Whisper model"):
        Vocabulary(Tokenizer(models.BPE()), multilingual=True)


@pytest.mark.parametrize("text", ["word " * 1000, "😀" * 1000, "今日は" * 400, "", "a"])
def test_prompt_and_text_fit_the_decoder_together(multilingual: Vocabulary, text: str) -> None:
    prompt = multilingual.prompt(DecodeOptions("m", prompt=text, hotwords=text), "en")
    assert len(prompt.tokens) + MAX_NEW_TOKENS <= POSITIONS


@given(st.integers(1, 300), st.integers(1, POSITIONS - MAX_NEW_TOKENS))
def test_a_prompt_takes_no_room_from_the_text(wanted: int, prompt_tokens: int) -> None:
    """CTranslate2 gives min(L / 2, L - prompt) new tokens for a length of L, and has 448 positions."""
    length = max_length(wanted, prompt_tokens)
    assert min(length // 2, length - prompt_tokens) >= min(wanted, MAX_NEW_TOKENS)
    assert length <= POSITIONS
