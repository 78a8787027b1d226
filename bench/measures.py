"""What a stream's events say about latency, steadiness and cost. Definitions are in bench/README.md.

Pure functions over what a listener heard and when. All times are seconds of the stream: its first sample is spoken
at 0, and the sample at `t` is spoken at `t`. So the latency of an event is its arrival less its audio time, and it
contains frames, network and every queue. Conventions follow NVIDIA Riva's client, Deepgram's latency guide (cursor
lag), Shangguan et al. (arXiv 2006.01416, unstable words) and FastEmit (arXiv 2010.11148, emission of words).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from cohear_client.protocol import Final, Partial
from cohear_server.core.segmenter import SegmenterOptions
from cohear_server.core.words import normalised

Shown: TypeAlias = tuple[float, Partial | Final]
"""when it came, and what it was"""
Span: TypeAlias = tuple[float, float]

POST_ROLL_S = SegmenterOptions().post_roll_ms / 1000
"""a segment of the server ends so long after its last voiced frame"""
LAG_STEP_S = 0.05
HISTOGRAM_EDGES_MS = tuple(round(10 * 10 ** (i / 5), 1) for i in range(16))
"""10 ms to 10 s, five to a decade; below and above are counted too"""


@dataclass(frozen=True, slots=True)
class Received:
    """What the listener of one stream received, and when somebody was speaking in it."""

    events: Sequence[Shown]
    spurts: Sequence[Span]
    """where there is sound, found in the audio itself: the server's speech detection does not matter"""
    since_s: float = 0.0
    until_s: float = math.inf
    """only what was spoken until then counts, and after `since_s`: the load is steady between the two"""

    def counts(self, spoken_s: float) -> bool:
        return self.since_s <= spoken_s < self.until_s

    def segments(self) -> list[list[Shown]]:
        """Events of each segment, in the order of the segments."""
        groups: defaultdict[int, list[Shown]] = defaultdict(list)
        for shown in self.events:
            groups[shown[1].segment_id].append(shown)
        return [groups[number] for number in sorted(groups)]


# --- summaries ------------------------------------------------------------------------------------


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Count, mean, percentiles and histogram of values in ms; only the count if there are none."""
    if not values:
        return {"count": 0}
    counts, _ = np.histogram(values, [-math.inf, *HISTOGRAM_EDGES_MS, math.inf])
    marks = {f"p{round(100 * share)}": round(percentile(values, share), 1) for share in (0.5, 0.95, 0.99)}
    mean, longest = round(sum(values) / len(values), 1), round(max(values), 1)
    return {"count": len(values), "mean": mean, **marks, "max": longest, "histogram": [int(n) for n in counts]}


def jitter_share(intervals: Sequence[float]) -> float | None:
    """Standard deviation over mean; None for less than two intervals."""
    return float(np.std(intervals) / np.mean(intervals)) if len(intervals) > 1 else None


# --- latency --------------------------------------------------------------------------------------


def first_partials_ms(heard: Received, *, with_words: bool = False) -> list[float]:
    """Time from the start of speech until a segment's first partial, or until its first partial with words.

    Speech starts with the first spurt that ends after the segment's start, but not before the previous segment ended.
    A segment that continues a long one that was cut has no start of speech."""
    found, ended_s, cut = [], 0.0, False
    for shown in heard.segments():
        final = _final(shown)
        if final is None:
            continue
        partials = [(at_s, e.stable + e.volatile) for at_s, e in shown if isinstance(e, Partial)]
        first = next((at_s for at_s, text in partials if text or not with_words), None)
        onset_s = next((max(start, ended_s) for start, end in heard.spurts if end > final.start_s), None)
        if first is not None and onset_s is not None and not cut and heard.counts(onset_s):
            found.append(1000 * (first - onset_s))
        ended_s, cut = final.end_s, final.reason == "max_length"
    return found


@dataclass(frozen=True, slots=True)
class FinalWait:
    """How long one final was waited for, in ms."""

    total_ms: float | None
    """from the end of speech (the last voiced frame, by the final's end); None where the speaker went on"""
    level_ms: float | None
    """the same, with the end of speech taken from the level of the audio"""
    over_ms: float | None
    """beyond the endpoint silence; None where there was none"""
    service_ms: float
    """what the server took, by the event's own timing"""

    @property
    def endpoint_wait_ms(self) -> float | None:
        """The rest of the wait: endpoint silence, frames and network."""
        return None if self.total_ms is None else self.total_ms - self.service_ms

    @property
    def cut_ms(self) -> float | None:
        """The service of a final that no pause ended: from the decision to cut until its text."""
        return self.service_ms if self.total_ms is None else None


def final_waits(heard: Received, endpoint_ms: float) -> list[FinalWait]:
    """The waits of finals that ended with a pause or at the longest length; not those that ended with the stream."""
    return [
        _wait(at_s, event, heard.spurts, endpoint_ms)
        for at_s, event in heard.events
        if isinstance(event, Final) and event.reason in ("endpoint", "max_length") and heard.counts(event.end_s)
    ]


def _wait(at_s: float, final: Final, spurts: Sequence[Span], endpoint_ms: float) -> FinalWait:
    service_ms = final.timing.total_ms
    if final.reason != "endpoint":
        return FinalWait(None, None, None, service_ms)
    total_ms = 1000 * (at_s - final.end_s + POST_ROLL_S)
    ends = [end for start, end in spurts if start < final.end_s]
    level_ms = 1000 * (at_s - ends[-1]) if ends else None
    return FinalWait(total_ms, level_ms, total_ms - endpoint_ms, service_ms)


def partial_ages_ms(heard: Received) -> list[float]:
    """Age of the last sample that a partial covers, when the partial arrives."""
    return [1000 * (at_s - e.audio_end_s) for at_s, e in heard.events if isinstance(e, Partial) and heard.counts(at_s)]


def cursor_lags_ms(heard: Received) -> list[float]:
    """Each 50 ms while somebody speaks: the age of the oldest sound that no partial or final has covered yet.

    Silence needs no words, so a pause does not count as lag."""
    lags: list[float] = []
    covered_s, place, oldest = 0.0, 0, 0
    for start, end in heard.spurts:
        for step in range(math.ceil((end - start) / LAG_STEP_S)):
            now_s = start + step * LAG_STEP_S
            while place < len(heard.events) and heard.events[place][0] <= now_s:
                covered_s = max(covered_s, _audio_end_s(heard.events[place][1]))
                place += 1
            while heard.spurts[oldest][1] <= covered_s and oldest + 1 < len(heard.spurts):
                oldest += 1
            if heard.counts(now_s):
                lags.append(1000 * max(0.0, now_s - max(covered_s, heard.spurts[oldest][0])))
    return lags


def partial_intervals_ms(heard: Received) -> list[float]:
    """Times between successive partials of a segment while the speaker does not pause. Each has more audio than the one
    before: a partial that shows the rest of a cut segment again does not count."""
    intervals = []
    heard_s = 0.0
    for shown in heard.segments():
        partials: list[tuple[float, float]] = []
        for at_s, event in shown:
            if isinstance(event, Partial) and event.audio_end_s > heard_s:
                heard_s = event.audio_end_s
                partials.append((at_s, heard_s))
        for (before_s, heard_from), (after_s, heard_to) in pairwise(partials):
            spoken = any(start <= heard_from and heard_to <= end for start, end in heard.spurts)
            if spoken and heard.counts(after_s):
                intervals.append(1000 * (after_s - before_s))
    return intervals


# --- words ----------------------------------------------------------------------------------------


def unstable_words(shown: Sequence[Shown], follower: Sequence[Shown] = ()) -> int:
    """Words of one segment that an event showed and the next one changed or dropped. Where a long segment was cut,
    words after the cut are not dropped: the first event of the next segment (`follower`) shows them."""
    final = _final(shown)
    cut_s = final.end_s if final is not None and final.reason == "max_length" else None
    moved = words_of(follower[0][1]) if follower else []
    count = 0
    for (_, before), (_, after) in pairwise(shown):
        cut = isinstance(after, Partial) and after.audio_end_s == cut_s
        said = words_of(before)
        count += len(said) - len(matched(said, words_of(after) + (moved if cut else [])))
    return count


def word_delays_s(shown: Sequence[Shown], *, stable: bool = False) -> list[float]:
    """For each word of a segment's final: time from the end of the word until the first event that shows it in its
    place; with `stable`, until it is stable or final. Empty without a final that has word times."""
    final = _final(shown)
    if final is None:
        return []
    words = [normalised(word.text) for word in final.words]
    first: dict[int, float] = {}
    for at_s, event in shown:
        for place in matched(words_of(event, stable=stable), words):
            first.setdefault(place, at_s)
    return [first[i] - word.end_s for i, word in enumerate(final.words) if i in first]


def words_of(event: Partial | Final, *, stable: bool = False) -> list[str]:
    """The normalised words that an event shows; with `stable`, only the stable ones of a partial."""
    if isinstance(event, Final):
        return [normalised(word) for word in event.text.split()]
    text = event.stable if stable else f"{event.stable} {event.volatile}"
    return [normalised(word) for word in text.split()]


def matched(said: Sequence[str], words: Sequence[str]) -> list[int]:
    """Indices of `words` that `said` also has, in the same order."""
    blocks = SequenceMatcher(a=said, b=words, autojunk=False).get_matching_blocks()
    return [block.b + i for block in blocks for i in range(block.size)]


def text_until(finals: Iterable[Final], end_s: float) -> str:
    """The text before `end_s`: words whose middle lies before it, or whole finals where words have no times."""
    parts: list[str] = []
    for final in finals:
        if final.words:
            parts += [word.text for word in final.words if (word.start_s + word.end_s) / 2 < end_s]
        elif (final.start_s + final.end_s) / 2 < end_s:
            parts.append(final.text)
    return " ".join(parts)


def _final(shown: Sequence[Shown]) -> Final | None:
    return next((event for _, event in shown if isinstance(event, Final)), None)


def _audio_end_s(event: Partial | Final) -> float:
    return event.end_s if isinstance(event, Final) else event.audio_end_s
