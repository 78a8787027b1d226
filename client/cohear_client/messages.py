"""Messages of a wire as msgspec structs: read strictly, written without what is None, refused with the field's name.

A wire declares its messages as tagged structs, with their limits in the types (`msgspec.Meta`); this module knows none
of them. Messages that come from clients derive from `Checked`, so that the limits hold however one is made.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar, get_args

import msgspec

from .errors import ClientError
from .fields import WrongField, explain, show, wrong_field

T = TypeVar("T")
_SPECIAL_TOKEN = re.compile(r"<\|[^<>|]*\|>")


class Checked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client says. Unknown fields are refused: a typing mistake must not be ignored.

    Making one raises ClientError(`bad_field`) where a field breaks its type, its limits or `check_text`.
    """

    def __post_init__(self) -> None:
        if wrong := wrong_field(self):
            raise _refusal(wrong)
        for name in self.__struct_fields__:
            match getattr(self, name):
                case str(text):
                    check_text(name, text)
                case tuple(items):
                    for index, item in enumerate(items):
                        if isinstance(item, str):
                            check_text(f"{name}[{index}]", item)


def check_text(name: str, text: str) -> None:
    """Refuse what no other program can take, and what a model takes for commands. Raises ClientError(`bad_field`)."""
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise _refusal(WrongField(name, "holds NUL or half of a surrogate pair", "send valid Unicode text"))
    if token := _SPECIAL_TOKEN.search(text):
        raise _refusal(WrongField(name, f"holds the special token {show(token[0])}", "leave it out"))


def tag_of(message: Any) -> str:
    """The `type` of a message, or whatever its wire calls it."""
    return str(message.__struct_config__.tag)


def plain(message: Any) -> dict[str, Any]:
    """A message as JSON-ready values; fields that are None are left out."""
    values = msgspec.to_builtins(message)
    return {name: value for name, value in values.items() if value is not None}


def encode(message: Any) -> str:
    """The text frame of a message."""
    return msgspec.json.encode(plain(message)).decode()


def decode(text: str, decoder: msgspec.json.Decoder[T]) -> T:
    """A message of those that `decoder` knows. Raises ClientError (`bad_json`, `unknown_type`, `bad_field`)."""
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as fault:
        raise _reason(text, get_args(decoder.type)) from fault


def _reason(text: str, kinds: tuple[type[msgspec.Struct], ...]) -> ClientError:
    """Why a text is no message: parsed again, slower and less strictly, to find the field and show its value."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return ClientError("bad_json", "a text frame is not JSON", "send one JSON object a text frame")
    tag_field = kinds[0].__struct_config__.tag_field or ""
    if not isinstance(data, dict):
        return ClientError("bad_json", "a text frame is not a JSON object", f'send {{"{tag_field}": ...}}')
    tag, known = data.get(tag_field), {tag_of(kind): kind for kind in kinds}
    if not isinstance(tag, str) or tag not in known:
        return ClientError(
            "unknown_type", f"message {tag_field} {tag!r:.60} is unknown", f"known types: {', '.join(known)}"
        )
    try:
        msgspec.convert(data, known[tag])
    except msgspec.ValidationError as fault:
        return _refusal(explain("", data, known[tag], fault))
    except ClientError as fault:
        return fault
    except UnicodeEncodeError:
        return ClientError("bad_json", "a field's name holds half of a surrogate pair", "send valid Unicode text")
    return ClientError("bad_json", "a text frame is not strict JSON", "send finite numbers, and each field once")


def _refusal(wrong: WrongField) -> ClientError:
    return ClientError("bad_field", f"field {wrong.name!r} {wrong.what}", wrong.remedy)
