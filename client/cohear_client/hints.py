"""Commands that messages name, as they are called on this machine: `cohear` is on nobody's PATH in a checkout, and its
extras come from the checkout and not from an index.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import sys
from pathlib import Path

_COMMAND = re.compile(r"(?<![\w/.-])cohear(?= (?:serve|stream|mic|transcribe|cache|models|bench|keys)\b)")
_INSTALL = re.compile(r"pip install 'cohear(?=\[)")


def as_here(text: str) -> str:
    """The text, with its commands such that they can be copied from it."""
    text = _COMMAND.sub(lambda _: program(), text)
    if (root := checkout()) is not None:
        pip = _near(Path(sys.executable).with_name("pip"))
        text = _INSTALL.sub(lambda _: f"{pip} install -e '{_near(root)}", text)
    return text


@functools.cache
def program() -> str:
    """`cohear` where the shell finds this one, else the path to it."""
    here = Path(sys.executable).with_name("cohear")
    found = shutil.which("cohear")
    if not here.exists() or (found is not None and os.path.samefile(found, here)):
        return "cohear"
    return _near(here)


def checkout() -> Path | None:
    """The folder of the checkout that this is run from; None for an installed wheel."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() else None


def _near(path: Path) -> str:
    """From the working folder, where it is below that."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
