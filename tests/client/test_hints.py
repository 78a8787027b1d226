from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cohear_client import hints

ROOT = Path(__file__).parents[2]


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of programs that `sys.executable` is in, below the working folder."""
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "cohear").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.chdir(tmp_path)
    hints.program.cache_clear()
    yield folder
    hints.program.cache_clear()


def test_a_command_is_named_by_its_path_where_the_shell_does_not_find_it(
    venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert hints.as_here("start `cohear serve`, or: cohear keys add x") == (
        "start `.venv/bin/cohear serve`, or: .venv/bin/cohear keys add x"
    )
    for untouched in ("cohear: interrupted", "a/cohear serve", "Cohear is ready", "pip install rich"):
        assert hints.as_here(untouched) == untouched


def test_a_command_that_the_shell_finds_keeps_its_name(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: str(venv / "cohear"))
    assert hints.as_here("`cohear serve`") == "`cohear serve`"


def test_extras_come_from_the_checkout(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hints.checkout() == ROOT
    assert hints.as_here("pip install 'cohear[mic]'") == f".venv/bin/pip install -e '{ROOT}[mic]'"
    monkeypatch.setattr(hints, "checkout", lambda: None)
    assert hints.as_here("pip install 'cohear[mic]'") == "pip install 'cohear[mic]'"
