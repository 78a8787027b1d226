"""The examples, as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ..conftest import Server
from ..environments import node_environment

ROOT = Path(__file__).parents[3]
CLIP = ROOT / "audio_samples" / "jfk.flac"
SAID = "your country can do for you"


def run(server: Server, *command: str | Path) -> str:
    environment = {**os.environ, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": server.key}
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, env=environment).stdout


def test_python(server: Server) -> None:
    told = run(server, sys.executable, ROOT / "examples" / "openai_files.py", CLIP).splitlines()
    assert SAID in told[-1]
    assert [line.split()[1] for line in told[:-1]] == told[-1].split()


def test_node(server: Server, tmp_path: Path) -> None:
    folder = node_environment("openai-6.49.0", {"openai": "6.49.0"})
    (tmp_path / "node_modules").symlink_to(folder / "node_modules")
    script = shutil.copy(ROOT / "examples" / "openai_files.mjs", tmp_path)
    assert SAID in run(server, "node", script, CLIP)
