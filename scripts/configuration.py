"""Writes the table of docs/configuration.md from the settings themselves (`cohear_server.config`)."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from cohear_client.fields import type_info, unwrapped
from cohear_server.config import ServerConfig, choices_of, help_of
from msgspec import inspect

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
BEGIN, END = "<!-- scripts/configuration.py: begin -->\n", "<!-- end -->\n"


def main() -> int:
    DOCUMENT.write_text(renewed(DOCUMENT.read_text()))
    return 0


def renewed(text: str) -> str:
    """The document with the table of today's settings."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


def table() -> str:
    rows = ["| setting | default | allowed | what it is |", "|---|---|---|---|"]
    rows += [
        f"| `{item.name}` | {_default(item.default)} | {_allowed(item)} | {help_of(item)} |"
        for item in msgspec.structs.fields(ServerConfig)
    ]
    return "\n".join(rows) + "\n"


def _default(value: object) -> str:
    match value:
        case "":
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case float():
            return f"`{value:g}`"
    return f"`{value}`"


def _allowed(item: msgspec.structs.FieldInfo) -> str:
    if choices := choices_of(item):
        return ", ".join(f"`{value}`" for value in choices)
    match unwrapped(type_info(item.type)):
        case inspect.IntType(ge=low, le=high) | inspect.FloatType(ge=low, le=high):
            return f"{low} to {high}"
        case inspect.BoolType():
            return "`true`, `false`"
    return "text"


if __name__ == "__main__":
    sys.exit(main())
