"""Events in, answers out: which audio is an item, and when its text is told."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from cohear_server.core.events import Final, Lost, Partial
from cohear_server.core.jobs import HypothesisWord
from cohear_server.errors import ServerError
from cohear_server.wire.realtime import answers
from cohear_server.wire.realtime.answers import Answer
from cohear_server.wire.realtime.items import MAX_TEXT_CHARS, Items
from cohear_server.wire.realtime.settings import Settings
from hypothesis import given
from hypothesis import strategies as st

from .sessions import OFFER

SERVER = Settings.usual(OFFER)
CLIENT = replace(SERVER, turns=None)
S = 16_000


def final(segment: int, text: str, start: int = 0, end: int = S, language: str = "en") -> Final:
    return Final(segment, segment, text, 1.0, language, start, end, "endpoint", "m")


def partial(segment: int, stable: str) -> Partial:
    return Partial(1, segment, 1, stable, "", 1.0, S)


def lost(segment: int, end: int = S) -> Lost:
    return Lost(segment, 0, end, ServerError("decode_failed", "no luck", "say it again"))


def short(told: Iterable[Answer]) -> list[str]:
    """Each answer in a word or two."""
    names = []
    for answer in told:
        match answer:
            case answers.Delta(delta=text):
                names.append(f"+{text}")
            case answers.Completed(transcript=text):
                names.append(f"={text}")
            case answers.SpeechStarted(audio_start_ms=ms) | answers.SpeechStopped(audio_end_ms=ms):
                names.append(f"{type(answer).__name__} {ms}")
            case _:
                names.append(type(answer).__name__)
    return names


COMMITTED = ["Committed", "ItemAdded", "ItemDone"]


def test_a_turn_that_the_server_ends() -> None:
    items = Items(SERVER)
    assert short(items.speech_started(S)) == ["SpeechStarted 700"]
    assert short(items.partial(partial(0, "one"))) == []
    assert short(items.speech_ended(3 * S)) == ["SpeechStopped 3000", *COMMITTED]
    assert short(items.final(final(0, "One two.", S, 3 * S))) == ["+One two.", "=One two."]


def test_a_turn_of_several_segments_is_one_item() -> None:
    items = Items(SERVER)
    told = [*items.speech_started(S), *items.final(final(0, "One", S, 2 * S))]
    told += [*items.speech_ended(4 * S), *items.final(final(1, "two", 2 * S, 3 * S))]
    told += [*items.final(final(2, "three.", 3 * S, 4 * S))]
    assert short(told) == [
        "SpeechStarted 700",
        "+One",
        "SpeechStopped 4000",
        *COMMITTED,
        "+ two",
        "+ three.",
        "=One two three.",
    ]
    assert len({answer.item_id for answer in told if isinstance(answer, answers.Delta)}) == 1


def test_texts_that_come_after_the_next_turn_began_are_told_with_their_own() -> None:
    items = Items(SERVER)
    list(items.speech_started(0))
    list(items.speech_ended(S))
    list(items.speech_started(2 * S))
    told = [*items.final(final(0, "one", 0, S)), *items.speech_ended(3 * S), *items.final(final(1, "two", S, 3 * S))]
    done = [answer for answer in told if isinstance(answer, answers.Completed)]
    assert [(answer.item_id, answer.transcript) for answer in done] == [("item_1", "one"), ("item_2", "two")]


def test_an_item_that_the_client_commits_has_all_that_was_said_before() -> None:
    items = Items(CLIENT)
    told = [*items.speech_started(0), *items.speech_ended(S), *items.final(final(0, "one"))]
    told += [*items.commit("1"), *items.final(final(1, "two")), *items.finalized("1")]
    assert short(told) == ["+one", *COMMITTED, "+ two", "=one two"]
    assert short([*items.commit("2"), *items.finalized("2")]) == [*COMMITTED, "="]


def test_each_committed_item_names_the_one_before() -> None:
    items = Items(CLIENT)
    told = [answer for mark in "123" for answer in items.commit(mark)]
    commits = [answer for answer in told if isinstance(answer, answers.Committed)]
    assert [(c.item_id, c.previous_item_id) for c in commits] == [
        ("item_1", None),
        ("item_2", "item_1"),
        ("item_3", "item_2"),
    ]


def test_a_commit_beside_turns_of_the_server_ends_the_present_one_and_is_an_item_in_silence() -> None:
    items = Items(SERVER)
    list(items.speech_started(0))
    told = [*items.commit("1"), *items.speech_ended(S), *items.final(final(0, "one")), *items.finalized("1")]
    assert short(told) == ["SpeechStopped 1000", *COMMITTED, "+one", "=one"]
    assert short([*items.commit("2"), *items.finalized("2")]) == [*COMMITTED, "="]


@pytest.mark.parametrize("settings", [SERVER, CLIENT])
def test_what_is_cleared_is_not_told(settings: Settings) -> None:
    items = Items(settings)
    list(items.speech_started(0))
    told = [*items.clear("1"), *items.speech_ended(S), *items.final(final(0, "secret")), *items.finalized("1")]
    assert short(told) == ["Cleared"]
    list(items.speech_started(2 * S))
    told = [*items.speech_ended(3 * S), *items.commit("2"), *items.final(final(1, "one", S, 3 * S))]
    assert short([*told, *items.finalized("2")])[-1].startswith("=") or short(told)[-1] == "=one"


def test_a_turn_that_ended_before_the_clear_is_told() -> None:
    items = Items(SERVER)
    list(items.speech_started(0))
    list(items.speech_ended(S))
    told = [*items.clear("1"), *items.final(final(0, "one")), *items.finalized("1")]
    assert short(told) == ["Cleared", "+one", "=one"]


def test_what_cannot_be_decoded_fails_its_item_and_no_other() -> None:
    items = Items(CLIENT)
    told = [*items.final(final(0, "one")), *items.commit("1"), *items.lost(lost(1)), *items.finalized("1")]
    assert short(told) == ["+one", *COMMITTED, "TranscriptionFailed"]
    failed = told[-1]
    assert isinstance(failed, answers.TranscriptionFailed)
    assert (failed.error.type, failed.error.code) == ("server_error", "decode_failed")
    assert short([*items.commit("2"), *items.final(final(2, "two")), *items.finalized("2")])[-1] == "=two"


def test_early_text_is_told_while_somebody_speaks_and_never_twice() -> None:
    items = Items(replace(SERVER, early=True))
    list(items.speech_started(0))
    told = [*items.partial(partial(0, "One")), *items.partial(partial(0, "One")), *items.partial(partial(0, "One two"))]
    told += [*items.speech_ended(S), *items.final(final(0, "One two three."))]
    assert short(told) == ["+One", "+ two", "SpeechStopped 1000", *COMMITTED, "+ three.", "=One two three."]


def test_early_text_that_the_final_does_not_confirm_is_completed_as_well_as_can_be() -> None:
    items = Items(replace(SERVER, early=True))
    list(items.speech_started(0))
    told = [*items.partial(partial(0, "one too")), *items.speech_ended(S), *items.final(final(0, "One, two, three."))]
    assert short(told) == ["+one too", "SpeechStopped 1000", *COMMITTED, "+ three.", "=One, two, three."]


def test_early_text_waits_for_the_final_of_the_segment_before() -> None:
    items = Items(replace(CLIENT, early=True))
    told = [*items.partial(partial(0, "one")), *items.partial(partial(1, "three")), *items.final(final(0, "one two"))]
    told += [*items.partial(partial(1, "three four"))]
    assert short(told) == ["+one", "+ two", "+ three four"]


def test_a_language_without_spaces_has_none_between_its_segments() -> None:
    items = Items(CLIENT)
    told = [*items.final(final(0, "你好", language="zh")), *items.final(final(1, "世界", language="zh"))]
    assert short(told) == ["+你好", "+世界"]


def test_log_probabilities_are_told_where_they_are_asked_for() -> None:
    items = Items(replace(CLIENT, logprobs=True))
    list(items.final(replace(final(0, "one"), words=(HypothesisWord("one", 0, S, 0.5),))))
    *_, completed = [*items.commit("1"), *items.finalized("1")]
    assert isinstance(completed, answers.Completed)
    assert completed.logprobs == [answers.Logprob("one", -0.6931, [111, 110, 101])]
    assert completed.languages == [answers.Language("en")]


def test_an_item_that_nobody_commits_is_bounded() -> None:
    items = Items(CLIENT)
    told = [answer for number in range(25) for answer in items.final(final(number, "x" * (MAX_TEXT_CHARS // 10)))]
    done = [answer for answer in told if isinstance(answer, answers.Completed)]
    assert len(done) == 2
    deltas = "".join(answer.delta for answer in told if isinstance(answer, answers.Delta))
    assert deltas.startswith(done[0].transcript + done[1].transcript)
    assert short([*items.commit("1"), *items.finalized("1")])[:3] == COMMITTED


def test_text_that_nobody_had_time_to_commit_is_told_at_the_end() -> None:
    items = Items(CLIENT)
    told = [*items.final(final(0, "one")), *items.done()]
    assert short(told) == ["+one", *COMMITTED, "=one"]
    assert short(items.done()) == []


def test_a_stream_that_fails_fails_what_was_committed() -> None:
    items = Items(CLIENT)
    told = [*items.commit("1"), *items.commit("2"), *items.failed(ServerError("internal", "no luck", "again"))]
    assert short(told) == [*COMMITTED, *COMMITTED, "TranscriptionFailed", "TranscriptionFailed"]


def test_the_beta_has_its_own_name_for_a_new_item() -> None:
    assert short(Items(CLIENT, beta=True).commit("1")) == ["Committed", "BetaItemCreated"]


texts = st.lists(st.sampled_from(["one", "Two,", "three.", "", "four five"]), max_size=4)


@given(st.lists(texts, max_size=5), st.booleans(), st.randoms(use_true_random=False))
def test_deltas_are_the_transcript_and_each_commit_has_one_outcome(
    segments: list[list[str]], client: bool, chance: random.Random
) -> None:
    """Whatever is said between two commits, or in a turn."""
    items, at, number = Items(CLIENT if client else SERVER), 0, 0
    told: list[Answer] = []
    for turn, said in enumerate(segments):
        told += items.speech_started(at)
        finals = []
        for text in said or [""]:
            finals.append(final(number, text, at, at + S))
            at, number = at + S, number + 1
        late = chance.randrange(len(finals) + 1)
        for early in finals[:late] if client else finals[:-1]:
            told += items.final(early)
        told += items.speech_ended(at)
        if client:
            told += items.commit(str(turn))
        for rest in finals[late:] if client else finals[-1:]:
            told += items.final(rest)
        if client:
            told += items.finalized(str(turn))
    committed = [answer.item_id for answer in told if isinstance(answer, answers.Committed)]
    done = [answer for answer in told if isinstance(answer, answers.Completed)]
    assert [answer.item_id for answer in done] == committed
    assert len(committed) == len(segments)
    for answer in done:
        deltas = [d.delta for d in told if isinstance(d, answers.Delta) and d.item_id == answer.item_id]
        assert "".join(deltas) == answer.transcript
    assert [answer.transcript for answer in done] == [" ".join(filter(None, said)) for said in segments]
