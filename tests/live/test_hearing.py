"""What a live stream hears with the real tiny.en: hotwords, quiet speech, and nothing in noise at that gain."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from cohear_client.protocol import Final, Start
from cohear_server.config import ServerConfig
from cohear_server.live.service import Service
from cohear_server.wire.local import open_stream
from numpy.typing import NDArray

from tests.samples import load_samples

pytestmark = pytest.mark.model
BLOCK = 1_600


def named(name: str) -> NDArray[np.int16]:
    samples = (*load_samples(speech=True), *load_samples(speech=False))
    return next(sample for sample in samples if sample.path.stem == name).pcm16k()


async def heard(service: Service, pcm: NDArray[np.int16], start: Start) -> str:
    async with open_stream(service, start) as stream:

        async def send() -> None:
            for at in range(0, len(pcm), BLOCK):
                await stream.send(pcm[at : at + BLOCK].tobytes())
                await asyncio.sleep(0)
            await stream.stop()

        sending = asyncio.create_task(send())
        texts = [event.text async for event in stream if isinstance(event, Final)]
        await sending
    return " ".join(texts)


@pytest.fixture
def config(tiny_en_dir: Path) -> ServerConfig:
    return ServerConfig(model=str(tiny_en_dir), device="cpu", admission=False)


async def test_a_hotword_is_heard_that_the_model_spells_wrongly_alone(config: ServerConfig) -> None:
    pcm = np.concatenate([named("4680-16042-0006"), np.zeros(8_000, np.int16)])
    async with Service.open(config) as service:
        without = await heard(service, pcm, Start(language="en", partials=False))
        hot = Start(language="en", partials=False, hotwords=("Cockade", "Bivouac"))
        with_it = await heard(service, pcm, hot)
    assert "bivouac" not in without.lower()
    assert "bivouac" in with_it.lower()
    assert "camp" in with_it.lower(), "and the rest of the text is there too"


async def test_quiet_speech_is_heard_and_noise_at_that_gain_is_nothing(config: ServerConfig) -> None:
    jfk = named("jfk").astype(np.float32)
    async with Service.open(config) as service:
        for peak_db in (-50, -60, -70):
            quiet = np.rint(jfk / np.abs(jfk).max() * 32768 * 10 ** (peak_db / 20)).astype(np.int16)
            text = await heard(service, quiet, Start(language="en", partials=False))
            assert "your country can do for you. ask what you can do" in text.lower(), (peak_db, text)
        for name in ("room-bg_noise5", "synthetic-chords"):
            for softer in (10, 100):
                noise = (named(name) // softer).astype(np.int16)
                assert await heard(service, noise, Start(language="en", partials=False)) == "", (name, softer)
