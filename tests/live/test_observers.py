"""Who watches harms nobody: neither a stream nor another one who watches."""

from __future__ import annotations

from typing import Any

import pytest
from cohear_client.protocol import Done, Final, Start
from cohear_server.config import ServerConfig
from cohear_server.live.observer import Unobserved
from cohear_server.live.service import Service
from cohear_server.wire.local import open_stream
from cohear_testing.fake import FakeBackend

from ..serving import burst, quiet


class Broken(Unobserved):
    """Raises whatever it is told; hears of streams all the same."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("emitted", "sent", "replaced", "resumed", "ended", "refused", "decoded"):
            return self._raise
        return super().__getattribute__(name)

    def _raise(self, *_: object) -> None:
        raise ZeroDivisionError


class Unwilling(Unobserved):
    def opened(self, session: object) -> Any:
        raise ZeroDivisionError


class Counting(Unobserved):
    def __init__(self) -> None:
        self.batches = self.events = 0

    def opened(self, session: object) -> Counting:
        return self

    def emitted(self, *_: object) -> None:
        self.events += 1

    def decoded(self, *_: object) -> None:
        self.batches += 1


async def test_several_watch_and_those_that_fail_harm_nobody(caplog: pytest.LogCaptureFixture) -> None:
    service, counting = Service(ServerConfig(vad="energy"), FakeBackend()), Counting()
    for observer in (Broken(), Unwilling(), counting):
        service.observer.add(observer)
    async with service.running():
        async with open_stream(service, Start()) as stream:
            await stream.send(quiet(0.5) + burst(1.0) + quiet(0.8))
            await stream.stop()
            events = [event async for event in stream]
        assert [type(event) for event in events if isinstance(event, Final | Done)] == [Final, Done]
    assert counting.batches
    assert counting.events >= len(events)
    assert service.observer.faults > counting.events
    assert "observer Broken failed" in caplog.text
