"""How words make a text: with spaces between them, or, in languages written without, with those that the model wrote.

Words of an unspaced language bring their own space in front where there is one: English inside Japanese, the phrases of
Thai. All others are stripped. One table for the server and its clients.
"""

from __future__ import annotations

from collections.abc import Iterable

UNSPACED = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})
"""Languages written without spaces between words (ISO 639 codes)."""
SPACED_SCRIPTS = 0x0530
"""Characters below are Latin, Greek and Cyrillic: written with spaces whatever the language around them."""


def lead(word: str, language: str) -> str:
    """What is before a word that others precede."""
    return "" if language in UNSPACED and not word.startswith(" ") else " "


def joined_words(words: Iterable[str], language: str) -> str:
    """Running text of words."""
    return ("" if language in UNSPACED else " ").join(words).strip()


def joined_texts(texts: Iterable[str], language: str) -> str:
    """One line of several texts that were said one after the other."""
    whole = ""
    for text in texts:
        text = text.strip()  # noqa: PLW2901
        spaced = language not in UNSPACED or (whole and text and max(whole[-1], text[0]) < chr(SPACED_SCRIPTS))
        whole += (" " if whole and text and spaced else "") + text
    return whole
