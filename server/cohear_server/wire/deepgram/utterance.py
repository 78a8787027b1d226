"""When an utterance is over by the words: no word was heard for so long after the last one (`utterance_end_ms`)."""

from __future__ import annotations

from ...core import events
from .messages import UtteranceEnd
from .text import seconds


class Utterance:
    def __init__(self, gap_ms: int | None) -> None:
        """`gap_ms` None: utterances are not told."""
        self._gap_s = None if gap_ms is None else gap_ms / 1000
        self._last_word: int | None = None
        """where the last word of the present utterance ends; None before its first word"""
        self._speaking = False
        """there is speech whose final is not out"""
        self._speech_end: int | None = None

    def follow(self, event: events.Event) -> None:
        match event:
            case events.SpeechStarted():
                self._speaking, self._speech_end = True, None
            case events.SpeechEnded(at):
                self._speech_end = at
            case events.Final(words=words, end=end):
                if words:
                    self._last_word = words[-1].end_samples
                self._settle(end)
            case events.Lost(end=end):
                self._settle(end)

    def ended(self, heard_s: float) -> UtteranceEnd | None:
        """The end of the utterance, once, when so much audio was heard."""
        if self._gap_s is None or self._last_word is None or self._speaking:
            return None
        if heard_s - seconds(self._last_word) < self._gap_s:
            return None
        last_word, self._last_word = self._last_word, None
        return UtteranceEnd((0, 1), seconds(last_word))

    def _settle(self, end: int) -> None:
        if self._speech_end is not None and end >= self._speech_end:
            self._speaking = False
