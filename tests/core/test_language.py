"""A stream's language: sure after three seconds that agree, kept, and changed for good only."""

from __future__ import annotations

import pytest
from cohear_server.core.jobs import DecodeResult, HypothesisWord
from cohear_server.core.language import LOOK_AGAIN_FINALS, SessionLanguage
from cohear_server.errors import ServerError

WORDS = (HypothesisWord("word", 0, 100, 0.9),)


def found(language: str, probability: float = 0.95) -> DecodeResult:
    """A final that detected its language."""
    return DecodeResult("job", words=WORDS, language=language, language_probability=probability, confidence=0.9)


def told(language: str, confidence: float = 0.9) -> DecodeResult:
    """A final that was decoded in the language of its job."""
    return DecodeResult("job", words=WORDS, language=language, confidence=confidence)


@pytest.fixture
def german() -> SessionLanguage:
    session = SessionLanguage()
    assert session.observe(found("de"), 4.0) == "de"
    return session


def test_nothing_is_sure_at_the_start() -> None:
    session = SessionLanguage()
    assert session.ask() is None
    assert session.language is None


def test_finals_that_agree_add_up_to_three_seconds() -> None:
    session = SessionLanguage()
    assert session.observe(found("en"), 1.6) is None
    assert session.ask() is None
    assert session.observe(found("en"), 1.6) == "en"
    assert session.ask() == "en"


def test_another_language_begins_the_count_anew() -> None:
    session = SessionLanguage()
    session.observe(found("cy"), 2.5)
    assert session.observe(found("en"), 2.5) is None
    assert session.observe(found("en"), 0.6) == "en"


@pytest.mark.parametrize(
    "result",
    [
        found("cy", 0.4),
        DecodeResult("job", language="cy", language_probability=0.99),
        DecodeResult("job", words=WORDS, language="cy", language_probability=0.9, error=ServerError("lost", "no")),
    ],
    ids=["improbable", "no words", "failed"],
)
def test_what_does_not_count(result: DecodeResult) -> None:
    session = SessionLanguage()
    assert session.observe(result, 10.0) is None


def test_looks_again_after_some_finals(german: SessionLanguage) -> None:
    for _ in range(LOOK_AGAIN_FINALS):
        assert german.ask() == "de"
        german.observe(told("de"), 2.0)
    assert german.ask() is None
    assert german.language == "de", "partials keep it meanwhile"
    german.observe(found("de"), 2.0)
    assert german.ask() == "de"


def test_looks_again_after_a_doubtful_final(german: SessionLanguage) -> None:
    german.observe(told("de", confidence=0.3), 2.0)
    assert german.ask() is None


def test_two_clear_finals_change_it(german: SessionLanguage) -> None:
    assert german.observe(found("en"), 2.0) == "de"
    assert german.ask() is None, "the next final is asked too"
    assert german.observe(found("en"), 2.0) == "en"
    assert german.ask() == "en"


def test_one_foreign_sentence_does_not_change_it(german: SessionLanguage) -> None:
    german.observe(found("en"), 6.0)
    assert german.observe(found("de"), 2.0) == "de"
    assert german.observe(found("en"), 6.0) == "de"


def test_an_unclear_final_ends_the_doubt(german: SessionLanguage) -> None:
    german.observe(found("en"), 6.0)
    german.observe(found("nl", 0.5), 2.0)
    assert german.ask() == "de"


@pytest.mark.parametrize(("probability", "seconds"), [(0.7, 5.0), (0.95, 0.8)], ids=["unclear", "short"])
def test_unclear_and_short_finals_do_not_change_it(german: SessionLanguage, probability: float, seconds: float) -> None:
    for _ in range(5):
        assert german.observe(found("en", probability), seconds) == "de"
    assert german.ask() == "de"
