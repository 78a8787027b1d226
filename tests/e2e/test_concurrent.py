"""Eight clips at once in real time say what each says alone, in shared batches, and no sample is unaccounted for."""

from __future__ import annotations

import asyncio
import json

import jiwer
import pytest
from cohear_client.protocol import Done, Final, Partial, ServerMessage, decode_server
from whisper_normalizer.english import EnglishTextNormalizer

from ..samples import Sample, load_samples
from .conftest import COHEAR

NORMALISE = EnglishTextNormalizer()
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


@pytest.mark.model
@pytest.mark.slow
async def test_eight_at_once(server_url: str) -> None:
    assert len(CLIPS) == 8
    alone = [text(await stream(clip, server_url, "0")) for clip in CLIPS]
    together = await asyncio.gather(*(stream(clip, server_url, "1") for clip in CLIPS))
    said = [text(messages) for messages in together]
    assert jiwer.wer([NORMALISE(t) for t in alone], [NORMALISE(t) for t in said]) <= 0.01
    assert jiwer.wer([NORMALISE(c.text) for c in CLIPS], [NORMALISE(t) for t in said]) <= 0.25
    timings = [m.timing for messages in together for m in messages if isinstance(m, Partial | Final)]
    assert max(t.batch_size for t in timings) > 1
    assert any(isinstance(m, Partial) for messages in together for m in messages)
    for clip, messages in zip(CLIPS, together, strict=True):
        (done,) = (m for m in messages if isinstance(m, Done))
        samples = done.samples
        assert samples.transcribed + samples.silent + samples.shed == samples.received
        assert samples.received == pytest.approx(clip.seconds * 16_000, abs=16)
        assert samples.shed == 0


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
