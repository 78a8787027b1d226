"""When words were shown, from the text alone: the same measure for servers that send times and servers that do not.

Pure. The last text of a stream is aligned to what was said in it, whose words have known times. Then each text that was
shown is compared with the last one, word by word. All times are seconds of the stream.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import jiwer
from cohear_server.core.words import normalised
from measures import LAG_STEP_S, Span

from .readers import Showing

PAUSE_S = 0.8
"""such a pause ends an utterance: every server that waits for 500 ms of silence has ended it by then"""
SLACK_S = 0.3
"""possible error of the times of words"""
HORIZON_S = 3.0
"""after the end of speech: a later change is a correction, not the answer"""
LOST_RUN = 5
"""so many words in a row that are missing from the last text were lost, not misheard"""


@dataclass(frozen=True, slots=True)
class SaidWord:
    text: str
    """normalised"""
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech between pauses."""

    start_s: float
    end_s: float
    words: range
    """of what was said"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the reader of one stream saw, for each word of its last text."""

    places: list[int | None]
    """index of the said word; None for a word that nobody said"""
    turns_s: list[list[float]]
    """when it appeared, was gone, appeared again and so on"""
    final_s: list[float]
    """when it became final; if never, the end of listening"""
    final_reach: list[int]
    """index of the last said word that was final then"""
    covered: list[tuple[float, int]]
    """(time, index of the last said word that some text covers from then on)"""


def tokens(text: str) -> list[str]:
    return [word for word in map(normalised, text.split()) if word]


def utterances(speech: Sequence[Span], words: Sequence[SaidWord], until_s: float) -> list[Utterance]:
    """Utterances that hold words and that a pause ended before `until_s`."""
    found = []
    start_s, first = None, 0
    for (begin, end), following in zip(speech, [*(b for b, _ in speech[1:]), math.inf], strict=False):
        start_s = begin if start_s is None else start_s
        if following - end < PAUSE_S:
            continue
        if end + PAUSE_S > until_s:
            break
        middle_s = (end + min(following, end + 2 * PAUSE_S)) / 2
        last = first
        while last < len(words) and (words[last].start_s + words[last].end_s) / 2 < middle_s:
            last += 1
        if last > first:
            found.append(Utterance(start_s, end, range(first, last)))
        start_s, first = None, last
    return found


def align(said: Sequence[SaidWord], shown: Sequence[str]) -> list[int | None]:
    """For each shown word, right or wrong, the index of the said word: the alignment with the fewest edits."""
    places: list[int | None] = [None] * len(shown)
    if not said or not shown:
        return places
    chunks = jiwer.process_words(" ".join(word.text for word in said), " ".join(shown)).alignments[0]
    for chunk in chunks:
        if chunk.type in ("equal", "substitute"):
            for i in range(chunk.hyp_end_idx - chunk.hyp_start_idx):
                places[chunk.hyp_start_idx + i] = chunk.ref_start_idx + i
    return places


def see(showings: Sequence[tuple[float, Showing]], said: Sequence[SaidWord], until_s: float) -> Seen:
    """Follow the texts of a stream, in their order of arrival, to the last one."""
    last = tokens(showings[-1][1].text) if showings else []
    places = align(said, last)
    turns: list[list[float]] = [[] for _ in last]
    final, final_reach = [until_s] * len(last), [len(said)] * len(last)
    covered = [(0.0, -1)]
    before: Showing | None = None
    for at_s, now in showings:
        if now == before:
            continue
        before = now
        # no word is shown before it is said: such a match is another word
        said_by = [word is None or said[word].start_s <= at_s + SLACK_S for word in places]
        blocks = _blocks(tokens(now.text), last)
        standing = {place for begin, end in blocks for place in range(begin, end) if said_by[place]}
        for place, times in enumerate(turns):
            if (place in standing) != bool(len(times) % 2):
                times.append(at_s)
        agreed = [p for begin, end in _blocks(tokens(now.final), last) for p in range(begin, end) if said_by[p]]
        reach = _reach(agreed, places)
        for place in agreed:
            if at_s < final[place]:
                final[place], final_reach[place] = at_s, reach
        # a single word may match by chance
        sure = [block for block in blocks if block[1] - block[0] > 1 or len(blocks) == 1]
        reach = _reach([p for begin, end in sure for p in range(begin, end) if p in standing], places)
        if reach > covered[-1][1]:
            covered.append((at_s, reach))
    return Seen(places, turns, final, final_reach, covered)


def _reach(shown: Sequence[int], places: Sequence[int | None]) -> int:
    return max((word for place in shown if (word := places[place]) is not None), default=-1)


def _blocks(shown: Sequence[str], last: Sequence[str]) -> list[tuple[int, int]]:
    """Ranges of `last` that `shown` also has, in the same order."""
    same = 0
    while same < min(len(shown), len(last)) and shown[same] == last[same]:
        same += 1
    found = [(0, same)] if same else []
    rest = SequenceMatcher(a=shown[same:], b=last[same:], autojunk=False).get_matching_blocks()
    return found + [(same + block.b, same + block.b + block.size) for block in rest if block.size]


@dataclass(frozen=True, slots=True)
class Answer:
    """Times in ms from the end of an utterance until its text was there; for the first text, from the start."""

    settled_ms: float
    """the text was complete and did not change until `HORIZON_S`; later corrections do not count"""
    final_ms: float
    """the last word became final"""
    first_ms: float
    ended: bool
    """the server's final ended where the utterance did"""
    missing: bool
    """no text ever came; the times are those of the end of listening"""


def answers(seen: Seen, spoken: Sequence[Utterance], until_s: float) -> list[Answer]:
    by_word: dict[int, list[int]] = {}
    for place, word in enumerate(seen.places):
        if word is not None:
            by_word.setdefault(word, []).append(place)
    return [_answer(seen, utterance, by_word, until_s) for utterance in spoken]


def _answer(seen: Seen, utterance: Utterance, by_word: dict[int, list[int]], until_s: float) -> Answer:
    places = [place for word in utterance.words for place in by_word.get(word, ())]
    if not places:
        late_ms = 1000 * (until_s - utterance.end_s)
        return Answer(late_ms, late_ms, 1000 * (until_s - utterance.start_s), True, True)
    end_s, last = utterance.end_s, places[-1]
    shown_s = seen.turns_s[last][0] if seen.turns_s[last] else until_s
    horizon_s = max(shown_s, end_s + HORIZON_S)
    turns = [turn_s for place in places for turn_s in seen.turns_s[place] if turn_s <= horizon_s]
    settled_s = max([shown_s, *turns])
    first_s = min(turns, default=until_s)
    # the first word after a pause may belong to the utterance before
    ended = seen.final_reach[last] <= utterance.words.stop or seen.final_s[last] >= until_s
    settled_ms, final_ms = 1000 * (settled_s - end_s), 1000 * (seen.final_s[last] - end_s)
    return Answer(settled_ms, final_ms, 1000 * (first_s - utterance.start_s), ended, False)


def lags_ms(seen: Seen, said: Sequence[SaidWord], speech: Sequence[Span], counted: Span) -> list[float]:
    """Each 50 ms while somebody speaks: time since the end of the oldest word that no text has covered yet. Words that
    never came do not count here; they are word error."""
    heard = sorted({place for place in seen.places if place is not None})
    lags: list[float] = []
    step, oldest = 0, 0
    for start, end in speech:
        for i in range(math.ceil((end - start) / LAG_STEP_S)):
            now_s = start + i * LAG_STEP_S
            if not counted[0] <= now_s < counted[1]:
                continue
            while step + 1 < len(seen.covered) and seen.covered[step + 1][0] <= now_s:
                step += 1
            while oldest < len(heard) and heard[oldest] <= seen.covered[step][1]:
                oldest += 1
            ended_s = said[heard[oldest]].end_s if oldest < len(heard) else now_s
            lags.append(1000 * max(0.0, now_s - ended_s))
    return lags


def lost_words(seen: Seen, said: int) -> int:
    """Number of said words missing in runs of at least `LOST_RUN`: audio that was not transcribed."""
    heard = {place for place in seen.places if place is not None}
    lost = run = 0
    for word in range(said + 1):
        if word < said and word not in heard:
            run += 1
            continue
        lost += run if run >= LOST_RUN else 0
        run = 0
    return lost
