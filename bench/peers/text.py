"""When words were shown, by the text alone: the same measure for servers that tell times and servers that do not.

Pure. A stream's last text is aligned to what was said in it, whose words have known times; then each showing tells
which words of the last text stood in it. All times are seconds of the stream.
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

PAUSE_S = 0.6
"""a gap in the sound that ends an utterance: every server that waits for 500 ms of silence has ended it by then"""
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
    """Speech between pauses, by the level of the audio."""

    start_s: float
    end_s: float
    words: range
    """of what was said"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One stream as its reader had it. By word of the last text: when it was first there, since when it stayed, since
    when it was final; the end of listening for what never was."""

    places: list[int | None]
    """the said word that it stands for; None for a word that nobody said"""
    first_s: list[float]
    settled_s: list[float]
    final_s: list[float]
    covered: list[tuple[float, int]]
    """from each time on, the furthest said word that is covered"""


def tokens(text: str) -> list[str]:
    return [word for word in map(normalised, text.split()) if word]


def utterances(spurts: Sequence[Span], words: Sequence[SaidWord], until_s: float) -> list[Utterance]:
    """Those that a pause ended before `until_s`, and that hold words."""
    found = []
    start_s, first = None, 0
    for (begin, end), following in zip(spurts, [*[b for b, _ in spurts[1:]], math.inf], strict=True):
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
    """The place among what was said of each shown word, heard right or wrong; least edits."""
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
    """Follow a stream's showings, in the order in which they came, to their last text."""
    last = tokens(showings[-1][1].text) if showings else []
    places = align(said, last)
    first, settled, final = ([until_s] * len(last) for _ in range(3))
    there = [False] * len(last)
    covered = [(0.0, -1)]
    before: Showing | None = None
    for at_s, now in showings:
        if now == before:
            continue
        before = now
        blocks = _blocks(tokens(now.text), last)
        standing = {place for begin, end in blocks for place in range(begin, end)}
        for place in range(len(last)):
            if place in standing:
                first[place] = min(first[place], at_s)
                if not there[place]:
                    settled[place] = at_s
            elif there[place]:
                settled[place] = until_s
            there[place] = place in standing
        for begin, end in _blocks(tokens(now.final), last):
            final[begin:end] = [min(at_s, value) for value in final[begin:end]]
        # a single word may stand anywhere by chance, and nothing is shown before it is said
        sure = [block for block in blocks if block[1] - block[0] > 1 or len(blocks) == 1]
        words = [word for begin, end in sure for word in places[begin:end] if word is not None]
        reach = max((word for word in words if said[word].start_s <= at_s), default=-1)
        if reach > covered[-1][1]:
            covered.append((at_s, reach))
    return Seen(places, first, settled, final, covered)


def _blocks(shown: Sequence[str], last: Sequence[str]) -> list[tuple[int, int]]:
    """Stretches of `last` that `shown` has too, in order, as places in `last`."""
    same = 0
    while same < min(len(shown), len(last)) and shown[same] == last[same]:
        same += 1
    found = [(0, same)] if same else []
    rest = SequenceMatcher(a=shown[same:], b=last[same:], autojunk=False).get_matching_blocks()
    return found + [(same + block.b, same + block.b + block.size) for block in rest if block.size]


@dataclass(frozen=True, slots=True)
class Answer:
    """How long after the end of an utterance its text stood, in ms; the first text is from its start."""

    settled_ms: float
    """its words were all there and none changed any more"""
    final_ms: float
    """the server called them final"""
    first_ms: float
    missing: bool
    """nothing ever came of it; the times are those of the end of listening"""


def answers(seen: Seen, ended: Sequence[Utterance], until_s: float) -> list[Answer]:
    by_word: dict[int, list[int]] = {}
    for place, word in enumerate(seen.places):
        if word is not None:
            by_word.setdefault(word, []).append(place)
    found = []
    for utterance in ended:
        places = [place for word in utterance.words for place in by_word.get(word, ())]
        times = [(seen.settled_s[p], seen.final_s[p], seen.first_s[p]) for p in places] or [(until_s,) * 3]
        settled, final = (max(time[i] for time in times) - utterance.end_s for i in range(2))
        first = min(time[2] for time in times) - utterance.start_s
        found.append(Answer(1000 * settled, 1000 * final, 1000 * first, not places))
    return found


def lags_ms(seen: Seen, said: Sequence[SaidWord], spurts: Sequence[Span], counted: Span) -> list[float]:
    """Each 50 ms while somebody speaks: how long ago the oldest word ended that no text has covered yet. Words that
    never came are the word error's."""
    heard = sorted({place for place in seen.places if place is not None})
    lags: list[float] = []
    step, oldest = 0, 0
    for start, end in spurts:
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
    """Words of `said` that are missing in runs of `LOST_RUN` and more: audio that was not transcribed."""
    heard = {place for place in seen.places if place is not None}
    lost = run = 0
    for word in range(said + 1):
        if word < said and word not in heard:
            run += 1
            continue
        lost += run if run >= LOST_RUN else 0
        run = 0
    return lost
