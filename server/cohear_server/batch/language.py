"""The language of a file, where nobody named it: evidence from its windows, one after the other.

The model often names a wrong language for a window with a noise or a single word. So a window counts by its length and
by the probability of its language, until one language is far enough ahead. For most files the first window is enough.
"""

from __future__ import annotations

from ..core.jobs import DecodeResult

AHEAD_S = 4.0
"""Lead of the likeliest language over the next, in seconds weighted by the probability of the language."""
MOST_WINDOWS = 5
"""After so many windows with words the likeliest language is taken."""


class FileLanguage:
    def __init__(self, known: str | None = None, among: tuple[str, ...] = ()) -> None:
        """`among`: the languages to choose from; empty: all."""
        self.language = known or (among[0] if len(among) == 1 else None)
        """what is spoken, once that is settled"""
        self._among = among
        self._sure_s: dict[str, float] = {}
        self._windows = 0

    def observe(self, result: DecodeResult, seconds: float) -> None:
        """Take in what was heard in a window of so many seconds."""
        if self.language is not None or result.error is not None or not result.words:
            return
        if not result.language_probability:  # the language was given, or the model has only one
            self.language = result.language or None
            return
        self._windows += 1
        sure_s = seconds * result.language_probability**2 if self._may_be(result.language) else 0.0
        self._sure_s[result.language] = self._sure_s.get(result.language, 0.0) + sure_s
        first, *others = sorted(self._sure_s.values(), reverse=True)
        if first - (others[0] if others else 0.0) >= AHEAD_S or self._windows >= MOST_WINDOWS:
            self.settle()

    def settle(self) -> str | None:
        """The likeliest language by the evidence so far; None if no words were heard."""
        if self.language is None and self._sure_s:
            likeliest = max(self._sure_s, key=self._sure_s.__getitem__)
            self.language = likeliest if self._may_be(likeliest) else self._among[0]
        return self.language

    def _may_be(self, language: str) -> bool:
        return not self._among or language in self._among
