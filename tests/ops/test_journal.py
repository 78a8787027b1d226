from __future__ import annotations

import logging

import pytest
from cohear_client.protocol import Final, Start
from cohear_server.config import ServerConfig
from cohear_server.live.service import Service
from cohear_server.ops.journal import Journal
from cohear_server.wire.local import open_stream
from cohear_testing.fake import FakeBackend

from ..serving import burst, quiet


async def test_the_log_tells_how_a_stream_went_and_not_what_was_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="cohear_server.ops.journal")
    service = Service(ServerConfig(vad="energy"), FakeBackend())
    service.observer.add(Journal())
    async with service.running(), open_stream(service, Start()) as stream:
        await stream.send(quiet(0.5) + burst(1.0) + quiet(0.8))
        await stream.stop()
        texts = [event.text for event in [event async for event in stream] if isinstance(event, Final)]
    lines = [record.getMessage() for record in caplog.records if record.name == "cohear_server.ops.journal"]
    assert texts
    assert all(line.startswith("stream ") for line in lines)
    told = [line.split(": ", 1)[1].split(" ")[0] for line in lines]
    assert told[0] == "opened"
    assert told[-1] == "ended,"
    assert {"speech", "final"} <= set(told)
    assert not any(text in line for text in texts for line in lines)


def test_who_is_turned_away_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Journal().refused("overloaded")
    assert caplog.messages == ["a stream was refused: overloaded"]
