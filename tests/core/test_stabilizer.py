"""Committed words only ever grow, and are what successive hypotheses agree on."""

from __future__ import annotations

from dataclasses import replace

from cohear_server.core.jobs import SAMPLE_RATE_HZ, HypothesisWord
from cohear_server.core.stabilizer import Stabilizer, StabilizerOptions
from hypothesis import given
from hypothesis import strategies as st

PLAIN = StabilizerOptions(hold_back_ms=300, show_back_ms=0, show_probability=0.0)
WORD_SAMPLES = SAMPLE_RATE_HZ // 2


def heard(text: str, probability: float = 0.5) -> list[HypothesisWord]:
    """Words of half a second each."""
    return [
        HypothesisWord(word, i * WORD_SAMPLES, (i + 1) * WORD_SAMPLES, probability)
        for i, word in enumerate(text.split())
    ]


def feed(stabilizer: Stabilizer, *hypotheses: str, probability: float = 0.5, extra_s: float = 1.0) -> Stabilizer:
    for text in hypotheses:
        words = heard(text, probability)
        stabilizer.update(words, len(words) * WORD_SAMPLES + int(extra_s * SAMPLE_RATE_HZ))
    return stabilizer


def shown(stabilizer: Stabilizer) -> tuple[str, str]:
    return tuple(" ".join(w.text for w in part) for part in (stabilizer.committed, stabilizer.volatile))  # type: ignore[return-value]


def test_one_hypothesis_commits_nothing() -> None:
    assert shown(feed(Stabilizer(PLAIN), "ask not what")) == ("", "ask not what")


def test_two_that_agree_commit_their_common_prefix() -> None:
    assert shown(feed(Stabilizer(PLAIN), "ask not what", "ask not that you")) == ("ask not", "that you")


def test_case_and_punctuation_do_not_matter() -> None:
    assert shown(feed(Stabilizer(PLAIN), "Ask not.", "ask, not what")) == ("ask, not", "what")


def test_words_at_the_edge_are_held_back() -> None:
    stabilizer = feed(Stabilizer(PLAIN), "ask not what", "ask not what", extra_s=0.1)
    assert shown(stabilizer) == ("ask not", "what")


def test_a_sure_word_needs_no_second_witness() -> None:
    assert shown(feed(Stabilizer(PLAIN), "ask not", probability=0.99)) == ("ask not", "")


def test_the_breaker_commits_when_hypotheses_never_agree() -> None:
    stabilizer = Stabilizer(replace(PLAIN, breaker_updates=3))
    feed(stabilizer, "a b", "c d", "e f")
    assert shown(stabilizer) == ("e", "f")


def test_a_later_change_of_committed_words_changes_only_the_rest() -> None:
    stabilizer = feed(Stabilizer(PLAIN), "ask not what", "ask not what", "asked not what your")
    assert shown(stabilizer) == ("ask not what", "your")


def test_a_dropped_word_is_not_said_twice() -> None:
    stabilizer = feed(Stabilizer(PLAIN), "so ask not what", "so ask not what", "ask not what your country")
    assert shown(stabilizer) == ("so ask not what", "your country")


def test_after_keep_last_hypotheses_begin_in_the_middle() -> None:
    stabilizer = feed(Stabilizer(PLAIN), "so ask not what", "so ask not what")
    stabilizer.keep_last(2)
    assert shown(feed(stabilizer, "not what your")) == ("so ask not what", "your")
    assert shown(feed(stabilizer, "what your country")) == ("so ask not what your", "country")


def test_a_whole_hypothesis_is_matched_from_the_start() -> None:
    stabilizer = feed(Stabilizer(PLAIN), "so ask not what", "so ask not what")
    stabilizer.keep_last(2)
    stabilizer.update(heard("so ask not what your"), 10**9, whole=True)
    assert shown(stabilizer) == ("so ask not what", "your")


def test_a_new_word_at_the_edge_is_not_shown_but_one_heard_twice_is() -> None:
    stabilizer = Stabilizer(replace(PLAIN, hold_back_ms=2_000, show_back_ms=400))
    assert shown(feed(stabilizer, "ask not", extra_s=0.1)) == ("", "ask")
    assert shown(feed(stabilizer, "ask not", extra_s=0.1)) == ("", "ask not")


def test_a_new_word_that_is_improbable_hides_all_after_it() -> None:
    words = [replace(w, probability=p) for w, p in zip(heard("ask nut what"), (0.9, 0.3, 0.9), strict=True)]
    stabilizer = Stabilizer(replace(PLAIN, show_probability=0.8, show_anyway_ms=700))
    stabilizer.update(words, words[1].end_samples + SAMPLE_RATE_HZ // 2)
    assert shown(stabilizer) == ("", "ask")
    later = Stabilizer(stabilizer.options)
    later.update(words, words[1].end_samples + SAMPLE_RATE_HZ)
    assert shown(later) == ("", "ask nut what"), "what follows a word long heard does not change it"


def test_agreement_counts_words_that_were_not_shown() -> None:
    stabilizer = Stabilizer(replace(PLAIN, show_probability=0.8))
    assert shown(feed(stabilizer, "ask not", "ask not")) == ("ask not", "")


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=6), max_size=12), st.integers(0, 3))
def test_committed_words_never_change(hypotheses: list[list[str]], keep: int) -> None:
    stabilizer = Stabilizer(PLAIN)
    before: list[str] = []
    for words in hypotheses:
        committed = stabilizer.update(heard(" ".join(words)), 10**9)
        assert committed <= len(words)
        now = [w.text for w in stabilizer.committed]
        assert now[: len(before)] == before
        before = now
        if len(before) > 4:
            stabilizer.keep_last(keep)
