"""JSON to message dataclass and back, naming the field that is wrong.

It reads the dataclass's own annotations (str, int, float, bool, literals, optionals, nested
dataclasses and tuples of them), so a message is declared once, in `protocol`, and nowhere else.
It knows no message and no rule beyond types; ranges are checked by each message itself.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import ClientError

T = TypeVar("T")


def plain(value: Any) -> Any:
    """A dataclass tree as JSON-ready dicts and lists; fields that are None are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f, getattr(value, f)) for f in _hints(type(value)))
        return {name: plain(item) for name, item in pairs if item is not None}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def build(cls: type[T], data: Mapping[str, Any], *, where: str = "", strict: bool = False) -> T:
    """Make a `cls` from parsed JSON.

    `where` is put before field names in errors. With `strict`, unknown fields are refused (a typing
    mistake must not be ignored); without, they are skipped (a newer peer may say more).
    Raises ClientError(code="bad_field").
    """
    declared: Any = cls
    hints = _hints(declared)
    unknown = data.keys() - hints.keys()
    if strict and unknown:
        name = sorted(unknown)[0]
        raise _bad(where + name, "is not a known field", f"known fields: {', '.join(sorted(hints))}")
    values = {name: _value(hints[name], data[name], where + name, strict) for name in hints if name in data}
    missing = [name for name in _required(declared) if name not in values]
    if missing:
        raise _bad(where + missing[0], "is missing", "add it to the message")
    return cls(**values)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    known = get_type_hints(cls)
    return {f.name: known[f.name] for f in dataclasses.fields(cls)}


@functools.cache
def _required(cls: Any) -> tuple[str, ...]:
    missing = dataclasses.MISSING
    return tuple(f.name for f in dataclasses.fields(cls) if f.default is missing and f.default_factory is missing)


def _value(hint: Any, value: Any, where: str, strict: bool) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        (hint,) = (a for a in args if a is not type(None))
        return _value(hint, value, where, strict)
    if origin is Literal:
        if value not in args:
            raise _bad(where, f"is {_show(value)}", f"use one of {', '.join(map(str, args))}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _bad(where, f"is {_show(value)}", "send a JSON array")
        return tuple(_value(args[0], item, f"{where}[{i}]", strict) for i, item in enumerate(value))
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise _bad(where, f"is {_show(value)}", "send a JSON object")
        return build(hint, value, where=where + ".", strict=strict)  # type: ignore[arg-type]
    return _scalar(hint, value, where)


def _scalar(hint: type, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise _bad(where, f"is {_show(value)}", "send a smaller number") from None
    # bool is a subclass of int in Python, but not in JSON
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        names = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
        raise _bad(where, f"is {_show(value)}", f"send {names[hint]}")
    return value


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _bad(field: str, what: str, remedy: str) -> ClientError:
    return ClientError("bad_field", f"field {field!r} {what}", remedy)
