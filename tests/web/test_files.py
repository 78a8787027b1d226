"""The page's files keep the house rules; no browser needed."""

from __future__ import annotations

import re
from pathlib import Path

import cohear_client
import pytest

FOLDER = Path(cohear_client.__file__).parent / "web"
MODULES = sorted(FOLDER.glob("*.js"))
OURS = {"cohear.js", "capture.js"}
"""what docs/browser.md offers to other pages"""
NO_PAGE = {
    "access",
    "backoff",
    "errors",
    "latency",
    "resample",
    "ring",
    "subtitles",
    "timeline",
    "transcript",
    "worklet",
}
"""modules without a document: they run anywhere"""


def imports(path: Path) -> set[str]:
    return set(re.findall(r"""(?:from|import)\s+'\./([^']+)'""", path.read_text()))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_are_short_introduce_themselves_and_leave_no_globals(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    assert text.startswith("/**"), "a comment says what the module is and is not"
    assert max(map(len, text.splitlines())) <= 120
    assert not re.search(r"\b(?:window|globalThis|self)\.\w+\s*=|\beval\(|innerHTML|console\.", text)
    assert all((FOLDER / name).is_file() for name in imports(path))
    if path.stem in NO_PAGE:
        assert not re.search(r"\bdocument\.|\bwindow\.", text)


def test_the_offered_modules_need_nothing_of_the_page() -> None:
    needed, waiting = set[str](), set(OURS)
    while waiting:
        needed |= waiting
        waiting = {name for module in waiting for name in imports(FOLDER / module)} - needed
    assert not needed & {"page.js", "view.js", "choices.js", "notices.js", "settings.js"}


def test_every_file_is_used() -> None:
    pages = sorted(FOLDER.glob("*.html"))
    named = {name for page in pages for name in re.findall(r'web/([\w.]+)"', page.read_text())}
    for path in MODULES:
        named |= imports(path) | set(re.findall(r"new URL\('\./([^']+)'", path.read_text()))
    assert {path.name for path in FOLDER.iterdir()} - {page.name for page in pages} == named
