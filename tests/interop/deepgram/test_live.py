"""Deepgram's SDKs, unmodified, over real sockets and with real speech."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Server
from ..environments import node_environment, python_environment
from .conftest import SAMPLE

HERE = Path(__file__).parent


def said_by(command: list[str | Path], folder: Path | None = None) -> dict[str, Any]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.fixture(scope="module")
def python(server: Server, audio: Path) -> dict[str, Any]:
    interpreter = python_environment("deepgram-sdk-7.17.0", {"deepgram-sdk": "7.17.0"})
    return said_by([interpreter, HERE / "client.py", server.address, server.key, audio, SAMPLE.path])


def of(kind: str, told: dict[str, Any]) -> list[dict[str, Any]]:
    return [message for message in told["messages"] if message["type"] == kind]


def transcript(told: dict[str, Any]) -> str:
    finals = [one["channel"]["alternatives"][0]["transcript"] for one in of("Results", told) if one["is_final"]]
    return " ".join(text for text in finals if text)


def check(told: dict[str, Any], audio: Path) -> None:
    """What holds for every stream, by whichever SDK."""
    seconds = audio.stat().st_size / 32_000
    reached = 0.0
    for one in of("Results", told):
        end = one["start"] + one["duration"]
        assert one["start"] == pytest.approx(reached, abs=1e-3)
        assert end <= seconds + 1e-3
        times = [time for word in one["channel"]["alternatives"][0]["words"] for time in (word["start"], word["end"])]
        assert times == sorted(times)
        assert all(0 <= time <= seconds for time in times)
        reached = end if one["is_final"] else reached
    assert any(not one["is_final"] for one in of("Results", told)), "interim results were asked for"
    (metadata,) = of("Metadata", told)
    assert metadata == told["messages"][-1]
    assert metadata["duration"] == pytest.approx(seconds)
    assert {one["metadata"]["request_id"] for one in of("Results", told)} == {metadata["request_id"]}
    assert "fellow americans" in transcript(told).lower()


def test_a_stream_of_the_python_sdk(python: dict[str, Any], audio: Path) -> None:
    check(python, audio)
    assert python["ended"]
    assert python["seen"] == ["open", "close"]
    results = of("Results", python)
    assert any(one["speech_final"] for one in results)
    assert [one["from_finalize"] for one in results].count(True) == 1
    assert of("SpeechStarted", python)
    assert of("UtteranceEnd", python)[-1]["last_word_end"] < audio.stat().st_size / 32_000 - 1.0
    assert results[0]["metadata"]["model_info"]["arch"] == "whisper"


def check_file(told: dict[str, Any]) -> None:
    """What holds for the answer to a whole file."""
    (channel,) = told["results"]["channels"]
    (alternative,) = channel["alternatives"]
    assert "fellow Americans" in alternative["transcript"]
    times = [time for word in alternative["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert times[-1] <= SAMPLE.seconds
    assert told["metadata"]["duration"] == pytest.approx(SAMPLE.seconds, abs=0.01)
    assert told["metadata"]["sha256"] == hashlib.sha256(SAMPLE.path.read_bytes()).hexdigest()


def test_a_file_of_the_python_sdk(python: dict[str, Any]) -> None:
    check_file(python["file"])
    assert python["file"]["results"]["utterances"][0]["words"]
    assert python["no_file"] == 400


def test_refusals_reach_the_callers_of_the_python_sdk(python: dict[str, Any]) -> None:
    assert python["bad_key"] == 401
    assert python["bad_request"] == 400


def test_a_stream_of_the_node_sdk(server: Server, audio: Path) -> None:
    folder = node_environment("deepgram-sdk-node-5.13.0", {"@deepgram/sdk": "5.13.0"})
    told = said_by(["node", HERE / "client.mjs", server.address, server.key, audio, SAMPLE.path], folder)
    check(told, audio)
    check_file(told["file"])
    assert told["code"] == 1000
