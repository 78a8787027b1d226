from __future__ import annotations

from pathlib import Path

import pytest
from marks import END, begin, fill_in, table


def test_only_the_text_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{begin('a.py')}\nold\n{END}\nafter\n")
    for _ in range(2):
        fill_in(page, "a.py", "new\n")
    assert page.read_text() == f"before\n{begin('a.py')}\n\nnew\n\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["no marks", begin("b.py") + END, begin("a.py"), END])
def test_a_page_without_the_marks_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(SystemExit, match=r"a\.py: begin"):
        fill_in(page, "a.py", "new")
    assert page.read_text() == text


def test_a_table_has_a_head() -> None:
    assert table([("a", "b"), (1, 2.5)]) == "| a | b |\n| --- | --- |\n| 1 | 2.5 |"
