"""The items of a Realtime session: pieces of audio, each with its text in the end. Events in, answers out, in order.

Where the server ends turns, an item is all from the start of speech to its end, however many segments that takes.
Where the client does, it is all between two commits. An item that is committed ends in exactly one `completed` or
`failed`. Its deltas, joined, are its transcript: they come from finals. A session that asked for early text has deltas
from stable text as well; the final has the last word then, and completes what was told as well as can be.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from cohear_client.writing import joined_texts
from msgspec import UNSET

from ...core.events import Final, Lost, Partial
from ...core.jobs import SAMPLE_RATE_HZ, HypothesisWord
from ...core.words import matched_prefix
from ...errors import CohearError
from . import answers
from .answers import Answer
from .faults import fault_of
from .settings import Settings

PRE_ROLL_SAMPLES = SAMPLE_RATE_HZ * 3 // 10
"""audio before the first voiced frame that belongs to the speech"""
MAX_TEXT_CHARS = 50_000
"""about an hour of speech: longer items of a client that does not commit are committed for it"""


@dataclass(slots=True)
class Item:
    id: str
    end: int | None = None
    """of its speech, in 16 kHz samples; None while it is open, or where a mark ends it"""
    mark: str | None = None
    """a `Finalize` after whose answer no more text comes"""
    dropped: bool = False
    """its audio was cleared: nobody wants its text"""
    text: str = ""
    """of its finals"""
    shown: str = ""
    """told already of the segment that has no final yet"""
    language: str = ""
    samples: int = 0
    words: list[HypothesisWord] = field(default_factory=list)
    fault: CohearError | None = None


class Items:
    def __init__(self, settings: Settings, *, beta: bool = False) -> None:
        self.settings = settings
        self.name = "item"
        """every item's name begins so"""
        self._beta = beta
        self._waiting: deque[Item] = deque()
        """those without their whole text, oldest first; only the last may be open. Bounded by the session's backlog,
        and by the marks that may wait"""
        self._open: Item | None = None
        self._count = 0
        self._finished = 0
        """segments that have their final"""
        self._ended_at = 0
        """where the speech before ended"""
        self._before: str | None = None
        """the item that was committed last"""

    # --- boundaries -------------------------------------------------------------------------------

    def speech_started(self, at: int) -> Iterator[Answer]:
        if self.settings.turns is not None:
            start = max(self._ended_at, at - PRE_ROLL_SAMPLES)
            yield answers.SpeechStarted(_ms(start), self._opened().id)

    def speech_ended(self, at: int) -> Iterator[Answer]:
        if self.settings.turns is None or self._open is None:
            return
        item, self._open = self._open, None
        item.end = self._ended_at = at
        yield answers.SpeechStopped(_ms(at), item.id)
        yield from self._committed(item)

    def commit(self, mark: str) -> Iterator[Answer]:
        """The client ends an item; the session answers `mark` when it has all its text. Where the server ends turns
        this only ends the present one, which `speech_ended` tells; in silence it makes an empty item."""
        if self.settings.turns is not None and self._open is not None:
            return
        item, self._open = self._opened(), None
        item.mark = mark
        yield from self._committed(item)

    def clear(self, mark: str) -> Iterator[Answer]:
        """The client takes back what it did not commit."""
        item, self._open = self._opened(), None
        item.mark, item.dropped = mark, True
        yield answers.Cleared()

    # --- text -------------------------------------------------------------------------------------

    def partial(self, partial: Partial) -> Iterator[Answer]:
        """Only if all before it is final: otherwise what comes between would be told after it."""
        item = self._opened()
        if not self.settings.early or partial.segment_id != self._finished or item.dropped:
            return
        stable = partial.stable
        if len(stable) > len(item.shown) and stable.startswith(item.shown):
            yield from self._delta(item, self._lead(item, stable, item.language) + stable[len(item.shown) :])
            item.shown = stable

    def final(self, final: Final) -> Iterator[Answer]:
        item = self._heard(final.end - final.start)
        rest = _rest(item.shown, final.text)
        if rest:
            yield from self._delta(item, self._lead(item, final.text, final.language) + rest)
        item.text = joined_texts((item.text, final.text), final.language)
        item.shown, item.language = "", final.language
        if self.settings.logprobs:
            item.words += final.words or ()
        if item is self._open and self.settings.turns is None and len(item.text) > MAX_TEXT_CHARS:
            self._waiting.popleft()
            self._open = None
            yield from self._committed(item)
            yield from self._settled(item)
        yield from self._ended(item, final.end)

    def lost(self, lost: Lost) -> Iterator[Answer]:
        item = self._heard(lost.end - lost.start)
        item.fault, item.shown = lost.fault, ""
        yield from self._ended(item, lost.end)

    def finalized(self, mark: str) -> Iterator[Answer]:
        if self._waiting and self._waiting[0].mark == mark:
            yield from self._settled(self._waiting.popleft())

    # --- the end ----------------------------------------------------------------------------------

    def done(self) -> Iterator[Answer]:
        """The stream is over: text that the client had no time to commit is told all the same."""
        while self._waiting:
            item = self._waiting.popleft()
            if item is self._open:
                if not (item.text or item.fault):
                    continue
                yield from self._committed(item)
            yield from self._settled(item)
        self._open = None

    def failed(self, fault: CohearError) -> Iterator[Answer]:
        """The stream ends at once: what is committed will have no text."""
        for item in self._waiting:
            item.fault = fault
        yield from self.done()

    # --- parts ------------------------------------------------------------------------------------

    def _opened(self) -> Item:
        """The open item, and if there is none a new one."""
        if self._open is None:
            self._count += 1
            self._open = Item(f"{self.name}_{self._count}")
            self._waiting.append(self._open)
        return self._open

    def _heard(self, samples: int) -> Item:
        """The item of the oldest segment without a final, which has one now."""
        self._finished += 1
        item = self._waiting[0] if self._waiting else self._opened()
        item.samples += samples
        return item

    def _committed(self, item: Item) -> Iterator[Answer]:
        before, self._before = self._before, item.id
        told = answers.item(item.id)
        yield answers.Committed(item.id, before)
        if self._beta:
            yield answers.BetaItemCreated(before, told)
        else:
            yield answers.ItemAdded(before, told)
            yield answers.ItemDone(before, told)

    def _lead(self, item: Item, text: str, language: str) -> str:
        """What is between the text so far and more of it."""
        if item.shown:
            return ""
        return joined_texts((item.text, text), language)[len(item.text) : -len(text.strip()) or None]

    def _delta(self, item: Item, text: str) -> Iterator[Answer]:
        if not item.dropped:
            yield answers.Delta(item.id, text)

    def _ended(self, item: Item, at: int) -> Iterator[Answer]:
        """If that was the last of its segments."""
        if item.end is not None and at >= item.end:
            self._waiting.popleft()
            yield from self._settled(item)

    def _settled(self, item: Item) -> Iterator[Answer]:
        if item.dropped:
            return
        if item.fault is not None:
            yield answers.TranscriptionFailed(item.id, fault_of(item.fault))
            return
        usage = answers.Usage(round(item.samples / SAMPLE_RATE_HZ, 3))
        languages = [answers.Language(item.language)] if item.language else UNSET
        logprobs = [*map(_logprob, item.words)] if self.settings.logprobs else UNSET
        yield answers.Completed(item.id, item.text, usage, languages=languages, logprobs=logprobs)


def _rest(shown: str, text: str) -> str:
    """What to tell after `shown`, so that the whole reads as near to `text` as can be."""
    text = text.strip()
    if text.startswith(shown):
        return text[len(shown) :]
    words = text.split()
    known = matched_prefix(_as_words(shown.split()), _as_words(words))
    return "".join(f" {word}" for word in words[known:])


def _as_words(texts: list[str]) -> list[HypothesisWord]:
    return [HypothesisWord(text, 0, 0, 1.0) for text in texts]


def _logprob(word: HypothesisWord) -> answers.Logprob:
    return answers.Logprob(word.text, round(math.log(max(word.probability, 1e-6)), 4), list(word.text.encode()))


def _ms(samples: int) -> int:
    return samples * 1_000 // SAMPLE_RATE_HZ
