"""From hypotheses that keep changing to a prefix that no longer does.

Local agreement (Liu et al. 2020; Machacek et al., arXiv 2307.14743): what two successive hypotheses
agree on, word by word, is committed. Three rules are added: words that end at the window's edge are held back,
words of high probability need no second hypothesis, and a breaker commits when hypotheses never agree.
Words are compared without case and punctuation. Windows may start later than the segment: then a
hypothesis is matched against the committed words that its window still holds.

It sees words and sample numbers only; windows, cadence and the final text are the session's part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .jobs import HypothesisWord, samples_in
from .words import matched_prefix, normalised


@dataclass(frozen=True, slots=True)
class StabilizerOptions:
    hold_back_ms: int = 200
    """a word that ends this close to the window's end may be cut off"""
    sure_probability: float = 0.95
    """a word at least this probable, its predecessors committed, needs no second hypothesis"""
    breaker_updates: int = 6
    """after this many updates without a commit, the newest hypothesis is taken"""
    show_back_ms: int = 400
    """a word heard for the first time is not shown while it ends this close to the window's end"""
    show_probability: float = 0.6
    """a word heard for the first time is shown if it is at least this probable"""
    show_anyway_ms: int = 700
    """or if it ends this long before the window's end"""


class Stabilizer:
    """The committed words of one segment, and the volatile ones after them. Samples count from the stream's start."""

    def __init__(self, options: StabilizerOptions) -> None:
        self.options = options
        self.committed: list[HypothesisWord] = []
        self.volatile: list[HypothesisWord] = []
        """shown after the committed words: the tail of the newest hypothesis, without its doubtful end"""
        self._tail: list[HypothesisWord] = []
        self._base = 0
        self._stuck = 0

    def update(self, words: Sequence[HypothesisWord], window_end: int, *, whole: bool = False) -> int:
        """Take in the newest hypothesis. Returns how many of its leading words are committed now.

        `whole` says that its window began with the segment, whatever `keep_last` said."""
        heard = matched_prefix(self.committed[0 if whole else self._base :], words)
        fresh = list(words[heard:])
        count = self._commit(fresh, window_end)
        shown = self._shown(fresh, count, window_end)
        self.committed += fresh[:count]
        self.volatile = fresh[count:shown]
        self._tail = fresh[count:]
        return heard + count

    def cut(self, end: int) -> list[HypothesisWord]:
        """Words whose middle is at sample `end` or later are taken out, and returned."""
        every = [*self.committed, *self.volatile]
        kept = sum(word.start_samples + word.end_samples < 2 * end for word in every)
        settled = min(kept, len(self.committed))
        self.committed, self.volatile = every[:settled], every[settled:kept]
        return every[kept:]

    def carry(self, words: Sequence[HypothesisWord]) -> None:
        """Begin with words that were heard before the cut, as if they were a hypothesis of this segment."""
        self.volatile = self._tail = list(words)

    def keep_last(self, count: int) -> None:
        """From now on windows begin with the last `count` committed words; earlier ones are no longer heard."""
        self._base = max(0, len(self.committed) - count)

    def _commit(self, fresh: list[HypothesisWord], window_end: int) -> int:
        """How many of `fresh` to commit: the run of words that agree with the last hypothesis, or are sure."""
        edge = window_end - samples_in(self.options.hold_back_ms)
        count = 0
        for i, word in enumerate(fresh):
            sure = word.probability >= self.options.sure_probability
            if word.end_samples > edge or not (sure or self._seen(i, word)):
                break
            count = i + 1
        self._stuck = 0 if count or not fresh else self._stuck + 1
        if self._stuck >= self.options.breaker_updates:
            self._stuck = 0
            return max(1, len(fresh) - 1)
        return count

    def _shown(self, fresh: list[HypothesisWord], committed: int, window_end: int) -> int:
        """How many of `fresh` to show: up to the first new word that is at the edge or improbable."""
        edge = window_end - samples_in(self.options.show_back_ms)
        settled = window_end - samples_in(self.options.show_anyway_ms)
        for i in range(committed, len(fresh)):
            word = fresh[i]
            improbable = word.probability < self.options.show_probability and word.end_samples > settled
            doubtful = word.end_samples > edge or improbable
            if doubtful and not self._seen(i, fresh[i]):
                return i
        return len(fresh)

    def _seen(self, place: int, word: HypothesisWord) -> bool:
        """The last hypothesis had the same word in the same place."""
        return place < len(self._tail) and normalised(self._tail[place].text) == normalised(word.text)
