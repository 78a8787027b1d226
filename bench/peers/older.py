"""Rewrites Python 3.12 source for 3.11: `type` statements and type parameters only. Pure.

This is enough for servers that do not evaluate their annotations at run time.
"""

from __future__ import annotations

import re

_ALIAS = re.compile(r"^type (\w+) = ", re.MULTILINE)
_CLASS = re.compile(r"^class (\w+)\[([^\]]+)\](?:\(([^)]*)\))?:", re.MULTILINE)
_FUNCTION = re.compile(r"^(\s*(?:async )?def \w+)\[([^\]]+)\]\(", re.MULTILINE)
_FUTURE = re.compile(r"^from __future__ .*\n", re.MULTILINE)


def for_311(source: str) -> str:
    """The same module: type aliases become assignments, type parameters become type variables without bounds."""
    variables: dict[str, str] = {}

    def parameters(listed: str) -> list[str]:
        names = [part.partition(":")[0].strip() for part in listed.split(",")]
        for name in names:
            kind = "ParamSpec" if name.startswith("**") else "TypeVar"
            variables[name.lstrip("*")] = kind
        return [name.lstrip("*") for name in names]

    def as_class(found: re.Match[str]) -> str:
        bases = [base for base in (found[3] or "").split(",") if base.strip()]
        generic = f"_typing.Generic[{', '.join(parameters(found[2]))}]"
        return f"class {found[1]}({', '.join([*map(str.strip, bases), generic])}):"

    def as_function(found: re.Match[str]) -> str:
        parameters(found[2])
        return f"{found[1]}("

    changed = _FUNCTION.sub(as_function, _CLASS.sub(as_class, _ALIAS.sub(r"\1 = ", source)))
    if not variables:
        return changed
    head = "import typing as _typing\n"
    head += "".join(f'{name} = _typing.{kind}("{name}")\n' for name, kind in sorted(variables.items()))
    future = _FUTURE.search(changed)
    place = future.end() if future else 0
    return changed[:place] + head + changed[place:]
