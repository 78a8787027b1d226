"""Eight clips at once in real time, in shared batches: they say what each says alone, but for accuracy that was traded
for speed and told of, and no sample is unaccounted for."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import jiwer
import pytest
from cohear_client.connection import connect
from cohear_client.protocol import Done, Final, Partial, Preference, Quality, ServerMessage, decode_server
from whisper_normalizer.english import EnglishTextNormalizer

from ..samples import Sample, load_samples
from .conftest import COHEAR

NORMALISE = EnglishTextNormalizer()
FRAME = 1_600
CLIPS = load_samples(speech=True, lang="en", at_least_s=2.0)[:8]


async def stream(sample: Sample, url: str, speed: str) -> list[ServerMessage]:
    """The events of one `cohear stream --json`."""
    process = await asyncio.create_subprocess_exec(
        COHEAR, "stream", str(sample.path), "--url", url, "--json", "--speed", speed, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    lines = [json.loads(line) for line in out.decode().splitlines()]
    assert all(line["received_s"] >= 0 for line in lines)
    return [decode_server(json.dumps(line)) for line in lines]


def text(messages: list[ServerMessage]) -> str:
    return " ".join(m.text for m in messages if isinstance(m, Final))


async def play(sample: Sample, url: str, prefer: Preference, *, paced: bool = True) -> list[ServerMessage]:
    """The events of one stream; frames of 0.1 s, in real time if `paced`."""
    pcm, begun_s = sample.pcm16k(), time.monotonic()
    async with connect(url, quality=Quality(prefer)) as stream:

        async def send() -> None:
            for n, at in enumerate(range(0, len(pcm), FRAME)):
                if paced:
                    await asyncio.sleep(begun_s + n * FRAME / 16_000 - time.monotonic())
                await stream.send(pcm[at : at + FRAME])
            await stream.stop()

        sending = asyncio.create_task(send())
        messages = [message async for message in stream]
        await sending
    return messages


@pytest.fixture(scope="module")
def busy_cores() -> Iterator[None]:
    """As many other processes as there are cores, all at work."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    yield
    for other in others:
        other.kill()
        other.wait()


@pytest.fixture(scope="module")
def alone(server_url: str) -> list[str]:
    """What each clip says alone."""
    return [text(asyncio.run(play(clip, server_url, "accuracy", paced=False))) for clip in CLIPS]


@pytest.mark.model
@pytest.mark.slow
async def test_eight_at_once(server_url: str, alone: list[str]) -> None:
    assert len(CLIPS) == 8
    together = await asyncio.gather(*(play(clip, server_url, "auto") for clip in CLIPS))
    said = [text(messages) for messages in together]
    assert jiwer.wer([NORMALISE(c.text) for c in CLIPS], [NORMALISE(t) for t in said]) <= 0.25
    timings = [m.timing for messages in together for m in messages if isinstance(m, Partial | Final)]
    assert max(t.batch_size for t in timings) > 1
    assert any(isinstance(m, Partial) for messages in together for m in messages)
    for clip, messages, before in zip(CLIPS, together, alone, strict=True):
        traded = any(message.traded for message in messages if isinstance(message, Final))
        assert traded or text(messages) == before, "nothing but what is told of changes the words"
        (done,) = (m for m in messages if isinstance(m, Done))
        samples = done.samples
        assert samples.transcribed + samples.silent + samples.shed == samples.received
        assert samples.received == pytest.approx(clip.seconds * 16_000, abs=16)
        assert samples.shed == 0


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.usefixtures("busy_cores")
async def test_a_busy_machine_hears_the_same_where_accuracy_is_wanted(server_url: str, alone: list[str]) -> None:
    together = await asyncio.gather(*(play(clip, server_url, "accuracy") for clip in CLIPS))
    assert [text(messages) for messages in together] == alone
    finals = [message for messages in together for message in messages if isinstance(message, Final)]
    assert not [final for final in finals if final.traded]
    # where decoding is slow a final goes alone: whether company changes words is tested in tests/engine


@pytest.mark.model
@pytest.mark.parametrize("sample", load_samples(speech=False), ids=str)
async def test_no_words_where_nobody_speaks(sample: Sample, server_url: str) -> None:
    assert text(await stream(sample, server_url, "0")) == ""


@pytest.mark.model
async def test_telephone_audio_is_heard(server_url: str) -> None:
    """8 kHz digits: resampled by the server, counted in the client's own samples."""
    digits = [s for s in load_samples(speech=True) if s.path.parent.name == "fsdd-8k" or s.seconds < 1.2]
    assert digits
    for sample in digits:
        messages = await stream(sample, server_url, "0")
        (done,) = (m for m in messages if isinstance(m, Done))
        assert done.samples.transcribed + done.samples.silent == done.samples.received
