"""The language of a stream whose client did not name it: found once, kept, and changed only on clear evidence.

A window of a second is often taken for another language, and a text that changes languages all the time is worse than
one in the wrong language. So each window detects its language until finals of three seconds in all agree. From then on
jobs carry that language. Every tenth final, and each final after one of low confidence, detects again. Two in a row
that clearly find the same other language change it.

    job   options.language = session.ask()            for a final
    job   options.language = session.language         for a partial: never the one to change it
    final session.observe(result, seconds)            for each final's result, before the next `ask`

The numbers are chosen, not fitted. Pure: no model, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from .jobs import DecodeResult

SURE_S = 3.0
"""audio of finals that must agree"""
LIKELY = 0.5
"""a detection less probable than this counts for nothing"""
CLEAR = 0.8
"""so probable must another language be to replace the one in use"""
CHANGE_S = 1.0
"""a final shorter than this never changes the language"""
CHANGE_FINALS = 2
LOOK_AGAIN_FINALS = 10
DOUBTFUL = 0.5
"""confidence of a final below which the next one detects: a text in the wrong language is improbable"""


@dataclass(frozen=True, slots=True)
class LanguageState:
    """The state of `SessionLanguage`, with the same fields."""

    language: str | None = None
    rival: str = ""
    rival_s: float = 0.0
    rival_finals: int = 0
    unasked: int = 0


class SessionLanguage:
    """One stream's language."""

    def __init__(self, known: LanguageState | None = None) -> None:
        known = known or LanguageState()
        self.language = known.language
        """the language, once it is sure"""
        self._rival = known.rival
        """another language that finals heard last"""
        self._rival_s = known.rival_s
        self._rival_finals = known.rival_finals
        self._unasked = known.unasked
        """finals since the last one that detected"""

    def state(self) -> LanguageState:
        return LanguageState(self.language, self._rival, self._rival_s, self._rival_finals, self._unasked)

    def ask(self) -> str | None:
        """The language for the next final; None lets the engine detect it."""
        due = self._rival_finals > 0 or self._unasked >= LOOK_AGAIN_FINALS
        return None if due else self.language

    def observe(self, result: DecodeResult, seconds: float) -> str | None:
        """Take in a final of so many seconds. Returns the language to use from now on; None while it is not sure."""
        if result.error is not None or not result.words:
            return self.language
        if not result.language_probability:
            self._unasked = LOOK_AGAIN_FINALS if result.confidence < DOUBTFUL else self._unasked + 1
            return self.language
        self._unasked = 0
        if result.language == self.language:
            self._forget_rival()
        elif self._counts(result, seconds):
            self._hear_rival(result.language, seconds)
        elif self.language is not None:
            self._forget_rival()
        return self.language

    def _counts(self, result: DecodeResult, seconds: float) -> bool:
        if self.language is None:
            return result.language_probability >= LIKELY
        return result.language_probability >= CLEAR and seconds >= CHANGE_S

    def _hear_rival(self, language: str, seconds: float) -> None:
        if language != self._rival:
            self._forget_rival()
            self._rival = language
        self._rival_s += seconds
        self._rival_finals += 1
        enough_s = self._rival_s >= SURE_S
        if enough_s and (self.language is None or self._rival_finals >= CHANGE_FINALS):
            self.language = language
            self._forget_rival()

    def _forget_rival(self) -> None:
        self._rival, self._rival_s, self._rival_finals = "", 0.0, 0
