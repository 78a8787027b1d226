"""Cost and errors of one setting of short windows, on one engine and one set of speech; padding to 30 s is a setting.

Measured as the server decodes: by `WhisperEngine.decode`, in batches of 8, with guard and second tries. Whole
utterances are finals, utterances cut at a random place are partials, utterances joined to half a minute are the longest
windows. Where a whole clip has a reference, errors are word errors against it. Otherwise they are the words in which
the text differs from that of the same window padded to 30 s.
"""

from __future__ import annotations

import itertools
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, JobKind, Pcm
from ..engine.engine import WhisperEngine
from ..engine.guard import GuardOptions, loop_end
from ..engine.profile import Profile
from ..engine.second_try import settled

BATCH = 8
CUT_S = (0.8, 6.0)
"""length of a window cut in mid-speech: that of a partial"""
LONG_S = 29.0
WORD = re.compile(r"[^\W_]+(?:'\w+)*")
LOOPED = frozenset({"loop", "token_cap"})
APART = GuardOptions(loop_rounds=3, loop_tokens=8)


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    pcm: Pcm
    language: str | None
    """None where it is not known: a multilingual model finds it"""
    reference: str | None = None

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Reading:
    """Results of one set of windows at one setting."""

    texts: tuple[str, ...]
    languages: tuple[str, ...]
    rules: tuple[tuple[str, ...], ...]
    mean_logprobs: tuple[float, ...]
    cpu_ms: float
    """CPU time of the process for each window, from samples to words"""

    @property
    def looped(self) -> int:
        """Windows in which the guard cut a loop, or more tokens than fit."""
        return sum(not LOOPED.isdisjoint(rules) for rules in self.rules)

    @property
    def loops_left(self) -> int:
        """Windows whose text still ends in a loop."""
        return sum(map(ends_in_loop, self.texts))

    @property
    def retried(self) -> int:
        return sum("retried" in rules for rules in self.rules)

    @property
    def unheard(self) -> int:
        return sum(not text for text in self.texts)


@dataclass(frozen=True, slots=True)
class Errors:
    words: int
    each: tuple[int, ...]
    """errors of each window"""

    @property
    def errors(self) -> int:
        return sum(self.each)

    @property
    def percent(self) -> float:
        return 100 * self.errors / max(1, self.words)

    @property
    def spread(self) -> float:
        """Standard error of the sum."""
        return math.sqrt(sum(count**2 for count in self.each))

    def spread_to(self, other: Errors) -> float:
        """Standard error of the difference of the two sums, over the same windows."""
        return math.sqrt(sum((a - b) ** 2 for a, b in zip(self.each, other.each, strict=True)))


def words(text: str) -> list[str]:
    """Lower case, without punctuation. Letters spelled one by one are one word: F-R-A-N-C-E-S and FRANCES are equally
    right, and would otherwise count as seven errors."""
    found = WORD.findall(text.lower().replace("\u2019", "'"))
    grouped = itertools.groupby(found, key=lambda word: len(word) == 1 and word.isalpha())
    return [word for spelled, group in grouped for word in (["".join(group)] if spelled else group)]


def distance(wanted: Sequence[str], got: Sequence[str]) -> int:
    """The smallest number of words to replace, delete or insert that makes both equal (Levenshtein)."""
    row = np.arange(len(got) + 1)
    columns = np.arange(len(got) + 1)
    for i, word in enumerate(wanted):
        same = np.array([word == other for other in got], bool)
        best = np.minimum(row[1:] + 1, row[:-1] + ~same)
        # a cell may also be its left neighbour plus one: subtract the slope, take the running minimum, add it again
        row = np.minimum.accumulate(np.concatenate([[i + 1], best]) - columns) + columns
    return int(row[-1])


def errors(wanted: Sequence[str], got: Sequence[str]) -> Errors:
    """Word errors, pooled over all windows."""
    pairs = [(words(a), words(b)) for a, b in zip(wanted, got, strict=True)]
    return Errors(sum(len(a) for a, _ in pairs), tuple(distance(a, b) for a, b in pairs))


def hear(engine: WhisperEngine, profile: Profile | None, windows: Sequence[Utterance], kind: JobKind) -> Reading:
    """Decode all windows at the setting of `profile`; None pads to 30 s."""
    engine.profile = profile
    results: list[DecodeResult] = []
    before_s = time.process_time()
    for first in range(0, len(windows), BATCH):
        results += settled(engine.decode, [_job(window, kind, engine) for window in windows[first : first + BATCH]])
    spent_s = time.process_time() - before_s
    return Reading(
        tuple(result.text for result in results),
        tuple(result.language for result in results),
        tuple(result.rules for result in results),
        tuple(result.mean_logprob for result in results),
        1000 * spent_s / max(1, len(windows)),
    )


def ends_in_loop(text: str) -> bool:
    """Whether the text ends with words that repeat at least three times, eight words in all or more."""
    numbers = {word: i for i, word in enumerate(dict.fromkeys(words(text)))}
    return loop_end([numbers[word] for word in words(text)], APART) is not None


def cut_in_speech(utterances: Sequence[Utterance], count: int) -> list[Utterance]:
    """Up to `count` windows, each cut somewhere in its utterance; the same each time."""
    noise = np.random.default_rng(1)
    shortest, longest = CUT_S
    fit = [one for one in utterances if one.seconds >= shortest + 0.5]
    places = [(fit[i % len(fit)], noise.uniform()) for i in range(count if fit else 0)]
    return [
        Utterance(
            one.pcm[: int(SAMPLE_RATE_HZ * (shortest + at * (min(longest, one.seconds - 0.3) - shortest)))],
            one.language,
        )
        for one, at in places
    ]


def joined(utterances: Sequence[Utterance], count: int) -> list[Utterance]:
    """Up to `count` windows of 20 to 29 s, made of whole utterances of one language."""
    made: list[Utterance] = []
    part: list[Utterance] = []
    for one in sorted(utterances, key=lambda utterance: utterance.language or ""):
        if part and (part[0].language != one.language or sum(p.seconds for p in part) + one.seconds > LONG_S):
            made.append(_join(part))
            part = []
        part.append(one)
    return [window for window in made if 20 <= window.seconds <= LONG_S][:count]


def _join(parts: Sequence[Utterance]) -> Utterance:
    references = [one.reference for one in parts]
    known = " ".join(r for r in references if r is not None) if None not in references else None
    return Utterance(np.concatenate([one.pcm for one in parts]), parts[0].language, known)


def _job(window: Utterance, kind: JobKind, engine: WhisperEngine) -> DecodeJob:
    language = window.language if window.language in engine.info.languages else None
    return DecodeJob("", "", "", 0, window.pcm, kind, 1.0, DecodeOptions(engine.info.name, language))
