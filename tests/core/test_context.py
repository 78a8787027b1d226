"""Short segments are decoded with what was said just before, whose words are then taken off again."""

from __future__ import annotations

from cohear_server.core.context import Context, ContextOptions, Said, own_words
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeResult, HypothesisWord

HZ = SAMPLE_RATE_HZ


def words(text: str, step: int = HZ // 2) -> tuple[HypothesisWord, ...]:
    return tuple(HypothesisWord(w, i * step, (i + 1) * step, 0.5 + 0.1 * i) for i, w in enumerate(text.split()))


def spoken(*spans_s: tuple[float, float]) -> Context:
    context = Context(ContextOptions(short_s=4, economic_short_s=2, gap_s=1.5, reach_s=10))
    for start_s, end_s in spans_s:
        context.add(int(start_s * HZ), int(end_s * HZ))
    return context


def starts_s(found: tuple[Said, ...]) -> list[float]:
    return [said.start / HZ for said in found]


def test_a_short_segment_takes_what_is_near_until_it_is_long_enough() -> None:
    context = spoken((0, 2), (3, 5))
    assert starts_s(context.before(5 * HZ, 6 * HZ)) == [0, 3]
    assert starts_s(context.before(6 * HZ, 7 * HZ)) == [3]


def test_a_long_segment_needs_none() -> None:
    assert spoken((0, 2)).before(3 * HZ, 7 * HZ) == ()


def test_the_more_economy_the_less_is_enough() -> None:
    context = spoken((0, 2), (3, 5))
    context.economy = 0.5
    assert starts_s(context.before(5 * HZ, 6 * HZ)) == [3]
    context.economy = 1.0
    assert context.before(5 * HZ, 7 * HZ) == ()


def test_a_long_pause_ends_it() -> None:
    context = spoken((0, 2), (4, 5))
    assert starts_s(context.before(6 * HZ, 7 * HZ)) == [4]
    assert context.before(8 * HZ, 9 * HZ) == ()


def test_it_reaches_back_only_so_far() -> None:
    assert starts_s(spoken((0, 5), (6, 11)).before(12 * HZ, 13 * HZ)) == [6]


def test_audio_is_needed_as_far_back_as_it_reaches() -> None:
    context = spoken((0, 5), (6, 11))
    assert context.needed_from(9 * HZ) == 0
    assert context.needed_from(12 * HZ) == 6 * HZ
    assert context.needed_from(30 * HZ) == 30 * HZ


def test_the_words_of_the_context_are_taken_off_and_times_count_from_the_segment() -> None:
    context = [Said(0, 2 * HZ, words("ask not"))]
    heard = DecodeResult("j", "", words("Ask not, what your country"), language="en", confidence=0.1)
    own = own_words(heard, context, int(1.2 * HZ))
    assert own.text == "what your country"
    assert own.words[0].start_samples == 0, "a time before the segment is its start"
    assert own.words[2].end_samples == int(1.3 * HZ)
    assert own.confidence == sum(w.probability for w in own.words) / 3


def test_a_context_that_was_misheard_alone_is_still_recognised() -> None:
    context = [Said(0, HZ, words("as not")), Said(2 * HZ, 3 * HZ, words("but"))]
    heard = DecodeResult("j", "", words("ask not but what your"), language="en")
    assert own_words(heard, context, 4 * HZ).text == "what your"


def test_what_follows_a_sentence_begins_with_a_capital() -> None:
    """The model heard both as one sentence; the final before it ended with one."""
    heard = DecodeResult("j", "", words("can do for you, ask what you can"), language="en")
    for before, expected in (("can do for you.", "Ask what you can"), ("can do for you", "ask what you can")):
        own = own_words(heard, [Said(0, 2 * HZ, words(before))], 2 * HZ)
        assert own.text == expected
        assert [word.text for word in own.words] == expected.split()


def test_without_context_nothing_changes() -> None:
    heard = DecodeResult("j", "Ask not.", words("Ask not."), language="en", confidence=0.3)
    assert own_words(heard, [], 0) is heard
