"""Frameworks for voice agents, by their Deepgram plug-ins, over real sockets and with real speech."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ..conftest import Server
from ..environments import INSTALL_S, python_environment
from .test_live import HERE, said_by

PACKAGES = {"livekit-agents": "1.8.9", "livekit-plugins-deepgram": "1.8.9", "pipecat-ai[deepgram]": "1.14.0"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(INSTALL_S + 60)]


@pytest.fixture(scope="module")
def interpreter() -> Path:
    return python_environment("deepgram-agents", PACKAGES)


def texts(kind: str, told: dict[str, Any]) -> str:
    return " ".join(text for message in told["messages"] if message["type"] == kind for text in message["texts"])


def test_an_agent_of_livekit(server: Server, audio: Path, interpreter: Path) -> None:
    told = said_by([interpreter, HERE / "livekit_agent.py", server.address, server.key, audio])
    kinds = [message["type"] for message in told["messages"]]
    assert kinds[0] == "start_of_speech"
    assert "end_of_speech" in kinds
    assert "interim_transcript" in kinds
    assert "fellow Americans" in texts("final_transcript", told)


def test_a_pipeline_of_pipecat(server: Server, audio: Path, interpreter: Path) -> None:
    told = said_by([interpreter, HERE / "pipecat_agent.py", server.address, server.key, audio])
    assert texts("interim", told)
    assert "fellow americans" in texts("final", told).lower()
