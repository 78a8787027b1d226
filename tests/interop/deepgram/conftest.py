"""What all clients of Deepgram's interface are given to hear."""

from __future__ import annotations

from pathlib import Path

import pytest

from ...samples import load_samples

SAMPLE = next(sample for sample in load_samples(speech=True, lang="en") if sample.path.stem == "jfk")
PAUSE_S = 1.5


@pytest.fixture(scope="session")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real speech, and then a pause."""
    path = tmp_path_factory.mktemp("deepgram") / "speech.pcm"
    path.write_bytes(SAMPLE.pcm16k().astype("<i2").tobytes() + bytes(int(32_000 * PAUSE_S)))
    return path
