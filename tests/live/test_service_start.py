"""What a service has done before it takes a stream."""

from __future__ import annotations

from cohear_server.config import ServerConfig
from cohear_server.core.vad import silero_network
from cohear_server.live.service import Service
from cohear_testing.fake import FakeBackend


async def test_the_speech_detector_is_loaded_before_the_first_word() -> None:
    silero_network.cache_clear()
    async with Service(ServerConfig(admission=False), FakeBackend()).running():
        assert silero_network.cache_info().currsize == 1
