"""One browser for the tests of the page. They are skipped, saying what to install, where it is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import pytest_asyncio

from ..serving import burst, quiet

if TYPE_CHECKING:
    from .browser import Browser

UTTERANCE = quiet(0.5) + burst(1.0) + quiet(0.7)
"""what the fake engine takes for a sentence; PCM16 at 16 kHz"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of two utterances."""
    from .browser import write_wav

    return write_wav(tmp_path_factory.mktemp("clip") / "clip.wav", np.frombuffer(UTTERANCE * 2, np.int16))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """Its microphone hears utterances, one after the other; cohear.example is this machine."""
    from .browser import launched, write_wav

    wav = write_wav(tmp_path_factory.mktemp("mic") / "mic.wav", np.frombuffer(UTTERANCE * 10, np.int16))
    async with launched(wav, "--host-resolver-rules=MAP cohear.example 127.0.0.1") as running:
        yield running
