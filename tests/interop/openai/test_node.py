"""OpenAI's library for Node and curl, as they are, against a server with tiny.en."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Server
from ..environments import node_environment

SCRIPT = Path(__file__).with_name("client.mjs")
CLIP = Path(__file__).parents[3] / "audio_samples" / "jfk.flac"
SAID = "your country can do for you"


def run(*command: str | Path) -> str:
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_node(server: Server) -> None:
    folder = node_environment("openai-6.49.0", {"openai": "6.49.0"})
    told: dict[str, Any] = json.loads(run("node", SCRIPT, folder, server.url, server.key, CLIP))
    assert SAID in told["json"]
    assert told["text"].strip() == told["verbose"]["text"] == told["json"]
    assert told["srt"].startswith("1\n00:00:0")
    assert " ".join(word["word"] for word in told["verbose"]["words"]) == told["json"]
    assert "".join(told["deltas"]) == told["done"]["text"] == told["json"]
    assert told["done"]["logprobs"]
    assert told["models"] == ["tiny.en"]
    assert told["errors"] == [
        "BadRequestError 400 unsupported_language language",
        "NotFoundError 404 unknown_model null",
        "AuthenticationError 401 invalid_api_key null",
    ]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(server: Server) -> None:
    url, key = f"{server.url}/audio/transcriptions", f"Authorization: Bearer {server.key}"
    form = ["-F", f"file=@{CLIP}", "-F", "model=whisper-1"]
    assert SAID in json.loads(run("curl", "-sS", url, "-H", key, *form))["text"]
    chunked = run("curl", "-sS", "-N", url, "-H", key, "-H", "Transfer-Encoding: chunked", *form, "-F", "stream=true")
    assert '"type": "transcript.text.done"' in chunked
    assert run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", url, *form) == "401"
