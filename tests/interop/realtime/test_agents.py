"""LiveKit Agents' and Pipecat's speech-to-text, as they are, over the Realtime API."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Server
from ..environments import INSTALL_S, python_environment
from .speech import clip, quiet, write

SCRIPT = Path(__file__).with_name("agents.py")
PACKAGES = {"livekit-plugins-openai": "1.8.9", "pipecat-ai[openai]": "1.14.0"}


@pytest.mark.timeout(INSTALL_S + 100)
@pytest.mark.parametrize("agent", ["livekit", "pipecat"])
def test_a_turn(agent: str, server: Server, tmp_path: Path) -> None:
    """LiveKit leaves the end of a turn to the server, Pipecat commits."""
    interpreter = python_environment("voice-agents", PACKAGES)
    audio = write(tmp_path / "audio.raw", clip("an4-cen8-mmsh-b"), quiet(1.5))
    command = [str(interpreter), str(SCRIPT), agent, server.address, server.key, str(audio)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert made.returncode == 0, made.stderr[-3_000:]
    told: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    assert not [kind for kind in told["kinds"] if "error" in kind]
    (final,) = told["finals"]
    assert "April" in final
    assert told["interim"]
