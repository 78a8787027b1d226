"""Puts generated text into a document, between two marks that name the script; the rest does not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

END = "<!-- end -->"


def begin(script: str) -> str:
    """The line before the generated text."""
    return f"<!-- {script}: begin -->"


def fill_in(page: Path, script: str, text: str) -> None:
    """Replace the text between the marks. Raises SystemExit for a page without them."""
    before, found, rest = page.read_text().partition(begin(script))
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise SystemExit(f"{page} has no lines {begin(script)} and {END}")
    page.write_text(f"{before}{begin(script)}\n\n{text.strip()}\n\n{END}{after}")


def table(rows: list[tuple[Any, ...]]) -> str:
    """A table in Markdown; the first row is its head."""
    head, *body = rows
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, ("---",) * len(head), *body))


def measured_on(result: dict[str, Any]) -> str:
    """Machine, versions and date of a result file, in one sentence."""
    machine, versions = result["machine"], result["versions"]
    return (
        f"Measured on {machine['cores']} cores ({machine['cpu']}), {result['date'][:10]}, "
        f"CTranslate2 {versions['ctranslate2']}"
    )
