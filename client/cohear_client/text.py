"""What free text from a caller may hold: prompts, hotwords and names of marks. Lengths are each message's own matter."""

from __future__ import annotations

import re

from .errors import ClientError

_SPECIAL_TOKEN = re.compile(r"<\|[^|]*\|>")
"""how Whisper writes its control tokens: <|endoftext|>, <|en|>, <|0.00|>"""
_SURROGATE = re.compile("[\ud800-\udfff]")


def check_text(name: str, text: str | None) -> None:
    """Refuse text that cannot be sent as UTF-8, or that a model would not read as text. None is fine.

    Raises ClientError(`bad_field`) that names the field."""
    if text is None:
        return
    if found := _SURROGATE.search(text):
        raise _bad(name, f"half a character ({found[0]!a})", "send whole Unicode characters (text that is valid UTF-8)")
    if "\0" in text:
        raise _bad(name, "a NUL character", "leave it out")
    if found := _SPECIAL_TOKEN.search(text):
        raise _bad(
            name, f"a special token of the model ({found[0][:30]})", "leave it out: it would not be read as text"
        )


def _bad(name: str, what: str, remedy: str) -> ClientError:
    return ClientError("bad_field", f"field {name!r} holds {what}", remedy)
