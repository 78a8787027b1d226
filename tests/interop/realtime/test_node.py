"""OpenAI's library for Node, as it is, over the Realtime API: it always speaks TLS."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ..environments import INSTALL_S, node_environment
from .speech import clip, quiet, write

SCRIPT = Path(__file__).with_name("client.mjs")


@pytest.mark.timeout(INSTALL_S + 100)
def test_a_turn(secure_server: str, tmp_path: Path) -> None:
    folder = node_environment("openai-realtime-6.49.0", {"openai": "6.49.0", "ws": "8.18.3"})
    audio = write(tmp_path / "audio.raw", clip("an4-cen8-mmsh-b"), quiet(1.5))
    command = ["node", str(SCRIPT), str(folder), f"https://{secure_server}/v1", str(audio)]
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(tmp_path / "authority.pem")}
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stderr
    told: dict[str, Any] = json.loads(made.stdout)
    assert told["url"].startswith("wss://")
    assert told["errors"] == []
    assert "April" in told["transcript"]
    assert told["deltas"] == told["transcript"]
    assert told["kinds"][0] == "session.created"
