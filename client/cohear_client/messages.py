"""Messages of a wire as msgspec structs: read strictly, written without what is None, refused with the field's name.

A wire declares its messages as tagged structs, with their limits in the types (`msgspec.Meta`); this module knows none
of them. Messages that come from clients derive from `Checked`, so that the limits hold however one is made.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import inspect

from .errors import ClientError

T = TypeVar("T")
_PATH = re.compile(r" - at `\$([\w.\[\]]*)`$")
_SPECIAL_TOKEN = re.compile(r"<\|[^<>|]*\|>")


class Checked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client says. Unknown fields are refused: a typing mistake must not be ignored.

    Making one raises ClientError(`bad_field`) where a field breaks its type, its limits or `check_text`.
    """

    def __post_init__(self) -> None:
        for name, hint in _hints(type(self)).items():
            value = getattr(self, name)
            try:
                msgspec.convert(value, hint)
            except msgspec.ValidationError as fault:
                raise _refusal(name, value, hint, fault) from fault
            if isinstance(value, str):
                check_text(name, value)


def check_text(name: str, text: str) -> None:
    """Refuse what no other program can take, and what a model takes for commands. Raises ClientError(`bad_field`)."""
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise _bad(name, "holds NUL or half of a surrogate pair", "send valid Unicode text")
    if token := _SPECIAL_TOKEN.search(text):
        raise _bad(name, f"holds the special token {_show(token[0])}", "leave it out")


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
    """Why a text is no message: parsed again, more slowly and more mildly, to find the field and show its value."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return ClientError("bad_json", "a text frame is not JSON", "send one JSON object a text frame")
    tag_field = kinds[0].__struct_config__.tag_field
    if not isinstance(data, dict):
        return ClientError("bad_json", "a text frame is not a JSON object", f'send {{"{tag_field}": ...}}')
    tag, known = data.get(tag_field or ""), {kind.__struct_config__.tag: kind for kind in kinds}
    if not isinstance(tag, str) or tag not in known:
        return ClientError(
            "unknown_type", f"message {tag_field} {tag!r:.60} is unknown", f"known: {', '.join(map(str, known))}"
        )
    try:
        msgspec.convert(data, known[tag])
    except msgspec.ValidationError as fault:
        return _refusal("", data, known[tag], fault)
    except ClientError as fault:
        return fault
    return ClientError("bad_json", "a text frame is not strict JSON", "send finite numbers, and each field once")


def _refusal(name: str, value: Any, hint: Any, fault: msgspec.ValidationError) -> ClientError:
    """The field that msgspec means, below `name`, with its value and what its type allows."""
    what, declared = str(fault), _type_info(hint)
    if path := _PATH.search(what):
        name += path[1]
        for step in re.findall(r"\w+", path[1]):
            declared = _inside(declared, step)
            value = value[int(step) if isinstance(value, list | tuple) else step]
    declared, name = _given(declared), name.lstrip(".")
    if isinstance(declared, inspect.StructType | inspect.DataclassType) and isinstance(value, dict):
        prefix, fields = f"{name}." if name else "", {field.encode_name: field for field in declared.fields}
        unknown = sorted(value.keys() - fields.keys() - {getattr(declared, "tag_field", None)})
        if "unknown field" in what and unknown:
            return _bad(prefix + unknown[0], "is not a known field", f"known fields: {', '.join(sorted(fields))}")
        missing = [field for field in fields if fields[field].required and field not in value]
        return _bad(prefix + "".join(missing[:1]), "is missing", "add it to the message")
    if isinstance(declared, inspect.StrType) and declared.max_length is not None and isinstance(value, str):
        return _bad(name, f"is {len(value)} characters long", f"use at most {declared.max_length} characters")
    return _bad(name, f"is {_show(value)}", _remedy(declared, value))


def _inside(declared: inspect.Type, step: str) -> inspect.Type:
    match _given(declared):
        case inspect.StructType(fields=fields) | inspect.DataclassType(fields=fields):
            return next(field.type for field in fields if field.encode_name == step)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return item
        case other:
            return other


def _given(declared: inspect.Type) -> inspect.Type:
    """The type of an optional field where it is given."""
    if isinstance(declared, inspect.UnionType):
        return next(kind for kind in declared.types if not isinstance(kind, inspect.NoneType))
    return declared


def _remedy(declared: inspect.Type, value: Any) -> str:
    match declared:
        case inspect.IntType(ge=low, le=high) if low is not None and type(value) is int:
            return f"use {low} to {high}"
        case inspect.FloatType() if type(value) is int:
            return "send a smaller number"
        case inspect.LiteralType(values=values):
            return f"use one of {', '.join(map(str, values))}"
    return f"send {_NAMES.get(type(declared), 'another value')}"


_NAMES = {
    inspect.StrType: "a string",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
    inspect.VarTupleType: "a JSON array",
    inspect.ListType: "a JSON array",
    inspect.StructType: "a JSON object",
}


_type_info = functools.cache(inspect.type_info)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _bad(field: str, what: str, remedy: str) -> ClientError:
    return ClientError("bad_field", f"field {field!r} {what}", remedy)
