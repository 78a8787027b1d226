"""Which field of some data breaks its declared type, and what would not: msgspec checks, this tells people.

It serves messages (`messages`) and the server's settings alike; each makes its own error of what is found.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any, get_type_hints

import msgspec
from msgspec import inspect

_PATH = re.compile(r" - at `\$([\w.\[\]]*)`$")


@dataclass(frozen=True, slots=True)
class WrongField:
    """`name` is a path such as words[1].text; "`name` `what`" is a sentence, and so is `remedy`."""

    name: str
    what: str
    remedy: str


def wrong_field(struct: msgspec.Struct) -> WrongField | None:
    """The first field of a struct that breaks its own type: msgspec checks what is parsed, not what a program makes."""
    for name, hint in hints(type(struct)).items():
        value = getattr(struct, name)
        try:
            msgspec.convert(value, hint)
        except msgspec.ValidationError as fault:
            return explain(name, value, hint, fault)
    return None


def explain(name: str, value: Any, hint: Any, fault: msgspec.ValidationError) -> WrongField:
    """The field, below `name`, that msgspec meant when it refused `value` as a `hint`."""
    said, declared = str(fault), type_info(hint)
    if path := _PATH.search(said):
        name += path[1]
        for step in re.findall(r"\w+", path[1]):
            declared = _inside(declared, step)
            value = value[int(step) if isinstance(value, list | tuple) else step]
    declared, name = unwrapped(declared), name.lstrip(".")
    if isinstance(declared, inspect.StructType | inspect.DataclassType) and isinstance(value, dict):
        return _wrong_key(name, value, declared, unknown="unknown field" in said)
    if isinstance(declared, inspect.StrType) and declared.max_length is not None and isinstance(value, str):
        return WrongField(name, f"is {len(value)} characters long", f"use at most {declared.max_length} characters")
    if (
        isinstance(declared, inspect.VarTupleType)
        and declared.max_length is not None
        and isinstance(value, list | tuple)
    ):
        return WrongField(name, f"has {len(value)} entries", f"use at most {declared.max_length}")
    return WrongField(name, f"is {show(value)}", _remedy(declared, value))


def unwrapped(declared: inspect.Type) -> inspect.Type:
    """The type of a field where it is given: without None, and without its description."""
    if isinstance(declared, inspect.Metadata):
        return unwrapped(declared.type)
    if isinstance(declared, inspect.UnionType):
        return unwrapped(next(kind for kind in declared.types if not isinstance(kind, inspect.NoneType)))
    return declared


def _shown(name: str) -> str:
    """A name that somebody made up, as it may stand in an error: never long, and such as can be sent."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 40 else text[:37] + "..."


def show(value: Any) -> str:
    """A value as it stands in an error: never long, never with control characters."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


@functools.cache
def hints(cls: Any) -> dict[str, Any]:
    """Field name -> declared type, limits included."""
    return get_type_hints(cls, include_extras=True)


type_info = functools.cache(inspect.type_info)


def _wrong_key(
    name: str, value: dict[str, Any], declared: inspect.StructType | inspect.DataclassType, *, unknown: bool
) -> WrongField:
    prefix, fields = f"{name}." if name else "", {field.encode_name: field for field in declared.fields}
    strange = sorted(value.keys() - fields.keys() - {getattr(declared, "tag_field", None)})
    if unknown and strange:
        return WrongField(
            prefix + _shown(strange[0]), "is not a known field", f"known fields: {', '.join(sorted(fields))}"
        )
    missing = [field for field in fields if fields[field].required and field not in value]
    return WrongField(prefix + "".join(missing[:1]), "is missing", "add it to the message")


def _inside(declared: inspect.Type, step: str) -> inspect.Type:
    match unwrapped(declared):
        case inspect.StructType(fields=fields) | inspect.DataclassType(fields=fields):
            return next(field.type for field in fields if field.encode_name == step)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return item
        case other:
            return other


def _remedy(declared: inspect.Type, value: Any) -> str:
    match declared:
        case inspect.IntType(ge=low, le=high) | inspect.FloatType(ge=low, le=high) if low is not None and _number(
            value
        ):
            return f"use {low} to {high}"
        case inspect.FloatType() if _number(value):
            return "send a smaller number"
        case inspect.LiteralType(values=values):
            return f"use one of {', '.join(map(str, values))}"
    return f"give {_NAMES.get(type(declared), 'another value')}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_NAMES = {
    inspect.StrType: "a string",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
    inspect.VarTupleType: "an array",
    inspect.ListType: "an array",
    inspect.StructType: "an object",
}
