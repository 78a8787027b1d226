from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cohear_client import ClientError, Done, ServerError, connect_sync, transcribe_file

from .conftest import Serve
from .fake_server import Script


def test_a_stream_without_asyncio(serve: Serve) -> None:
    with connect_sync(serve(Script()).url, language="en") as stream:
        assert stream.ready.model == "fake"
        stream.send(np.zeros(16_000, np.int16))
        stream.finalize("a")
        stream.finalized("a")
        stream.stop()
        events = list(stream)
    assert isinstance(events[-1], Done)


def test_faults_are_the_same(serve: Serve) -> None:
    with connect_sync(serve(Script(drop_after_segments=1)).url) as stream:
        stream.send(np.zeros(8_000, np.int16))
        with pytest.raises(ServerError, match="lost"):
            list(stream)


def test_transcribe_file(serve: Serve, tone: Path) -> None:
    transcript = transcribe_file(tone, serve(Script()).url, language="en")
    assert transcript.text == "hello world0 hello world1"
    assert [w.text for w in transcript.words] == ["hello", "world0", "hello", "world1"]
    assert transcript.samples is not None
    assert transcript.samples.received == 16_000


def test_transcribe_file_needs_a_file(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="no such file"):
        transcribe_file(tmp_path / "none.wav", "ws://127.0.0.1:1")
