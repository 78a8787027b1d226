from __future__ import annotations

import itertools
import re

from cohear_client.protocol import Final, Timing, Word
from cohear_client.subtitles import LINE_CHARS, LINES, SubtitleOptions, cues, srt, vtt
from cohear_client.transcript import Transcript
from hypothesis import given
from hypothesis import strategies as st

TIMES = st.floats(-1, 5_000, allow_nan=False)


def segment(text: str, start_s: float, end_s: float, words: tuple[Word, ...] = (), language: str = "en") -> Final:
    return Final(0, 0, text, 0.9, language, start_s, end_s, "endpoint", "m", Timing(), words)


def spoken(text: str, start_s: float = 0.0, word_s: float = 0.4) -> Final:
    words = tuple(Word(w, start_s + n * word_s, start_s + (n + 1) * word_s, 0.9) for n, w in enumerate(text.split()))
    return segment(text, start_s, words[-1].end_s, words)


segments = st.builds(
    segment,
    st.text(max_size=300),
    TIMES,
    TIMES,
    st.lists(st.builds(Word, st.text(max_size=60), TIMES, TIMES, st.just(0.5)), max_size=30).map(tuple),
    st.sampled_from(["en", "ja"]),
)


@given(st.lists(segments, max_size=5).map(tuple))
def test_times_grow_without_overlap_and_lines_fit_whatever_comes(segments: tuple[Final, ...]) -> None:
    made = cues(Transcript(segments))
    for cue in made:
        assert 0 <= cue.start_ms < cue.end_ms
        assert len(cue.lines) >= 1
        assert all(0 < len(line) <= LINE_CHARS for line in cue.lines)
    for cue, following in itertools.pairwise(made):
        assert cue.end_ms <= following.start_ms


@given(st.lists(st.text("abcdefgh.,", min_size=1, max_size=12), min_size=1, max_size=120))
def test_every_word_is_kept_in_readable_cues(words: list[str]) -> None:
    for transcript in (spoken(" ".join(words)), segment(" ".join(words), 1.0, 50.0)):
        made = cues(Transcript((transcript,)))
        assert " ".join(line for cue in made for line in cue.lines).split() == words
        assert all(len(cue.lines) <= LINES for cue in made)


def test_a_long_segment_is_cut_after_a_sentence() -> None:
    text = "the birch canoe slid on the smooth planks. glue the sheet to the dark blue background of the old wall"
    made = cues(Transcript((spoken(text, word_s=0.3),)))
    assert next(c.text.replace("\n", " ") for c in made).endswith("planks.")
    assert made[0].end_ms == made[1].start_ms == 2_400


def test_a_pause_ends_a_cue() -> None:
    words = (Word("one", 0, 0.5, 1), Word("two", 2.0, 2.5, 1))
    assert [c.text for c in cues(Transcript((segment("one two", 0, 2.5, words),)))] == ["one", "two"]


def test_text_without_word_times_is_spread_over_the_segment() -> None:
    made = cues(Transcript((segment("word " * 40, 10.0, 20.0),)))
    assert made[0].start_ms == 10_000
    assert made[-1].end_ms == 20_000
    assert len(made) > 1


def test_srt() -> None:
    text = srt(Transcript((spoken("hello --> world", 3_599.9), spoken("again", 3_700))))
    assert text == ("1\n00:59:59,900 --> 01:00:01,100\nhello -> world\n\n2\n01:01:40,000 --> 01:01:40,400\nagain\n")


def test_vtt_escapes_markup() -> None:
    text = vtt(Transcript((spoken("<b> & --> x"),)))
    assert text == "WEBVTT\n\n00:00:00.000 --> 00:00:01.600\n&lt;b&gt; &amp; --&gt; x\n"
    assert len(re.findall("-->", text)) == 1


@given(st.lists(st.text("abcdefgh.,", min_size=1, max_size=12), min_size=1, max_size=60), st.booleans())
def test_limits_that_were_asked_for_are_kept(words: list[str], highlight: bool) -> None:
    options = SubtitleOptions(line_chars=20, lines=1, words=3, highlight=highlight)
    made = cues(Transcript((spoken(" ".join(words)),)), options)
    for cue in made:
        assert len(cue.lines) == 1
        assert len(cue.lines[0]) <= 20
        assert len(cue.lines[0].split()) <= 3
    for cue, following in itertools.pairwise(made):
        assert cue.start_ms < cue.end_ms <= following.start_ms
    if highlight:
        marked = [cue.lines[cue.marked[0]][cue.marked[1] : cue.marked[2]] for cue in made if cue.marked]
        assert marked == words


def test_each_word_is_underlined_while_it_is_spoken() -> None:
    text = vtt(Transcript((spoken("one & two", word_s=0.5),)), SubtitleOptions(highlight=True))
    assert "00:00:00.500 --> 00:00:01.000\none <u>&amp;</u> two\n" in text
    assert text.count("<u>") == 3
