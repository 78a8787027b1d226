from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from cohear_client.errors import ClientError
from cohear_client.pipe import FileBytes, PipeAudio
from cohear_client.protocol import Start
from cohear_client.signatures import recognised
from hypothesis import assume, given
from hypothesis import strategies as st


class Trickle:
    """Gives bytes a few at a time, as a pipe may."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data = io.BytesIO(data)
        self._step = step

    async def read(self, n: int = -1, /) -> bytes:
        return self._data.read(min(n, self._step))


async def heard(data: bytes, raw: Start | None = None, step: int = 1 << 16) -> tuple[Start, bytes]:
    pipe = await PipeAudio.open(Trickle(data, step), raw or Start())
    return pipe.start, b"".join([block async for block in pipe.blocks()])


def wav(samples: Any, rate_hz: int, subtype: str) -> bytes:
    file = io.BytesIO()
    sf.write(file, samples, rate_hz, subtype=subtype, format="WAV")
    return file.getvalue()


@given(st.binary(min_size=1, max_size=2_000), st.integers(1, 700))
async def test_raw_samples_come_whole(data: bytes, step: int) -> None:
    assume(recognised(data[:12]) is None)
    start, audio = await heard(data, Start(channels=2), step)
    assert start == Start(channels=2)
    assert audio == data[: len(data) // 4 * 4]


@pytest.mark.parametrize(
    ("subtype", "encoding", "size"),
    [("PCM_16", "pcm_s16le", 2), ("FLOAT", "pcm_f32le", 4), ("ULAW", "mulaw", 1), ("ALAW", "alaw", 1)],
)
@pytest.mark.parametrize("step", [1, 7, 65_536])
async def test_a_wav_header_describes_the_audio(subtype: str, encoding: str, size: int, step: int) -> None:
    samples = np.linspace(-0.5, 0.5, 400).reshape(200, 2)
    start, audio = await heard(wav(samples, 22_050, subtype), Start(language="de"), step)
    assert (start.sample_rate, start.channels, start.encoding, start.language) == (22_050, 2, encoding, "de")
    assert len(audio) >= 400 * size


async def test_a_length_that_the_writer_could_not_know_is_ignored() -> None:
    data = bytearray(wav(np.arange(100, dtype=np.int16), 16_000, "PCM_16"))
    at = data.index(b"data")
    data[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    _, audio = await heard(bytes(data))
    assert audio == np.arange(100, dtype="<i2").tobytes()


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no audio"),
        (b"RIFF\0\0\0\0WAVE", "header is damaged"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "header is damaged"),
        (b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\x7f", "header is damaged"),
    ],
)
async def test_bad_streams(data: bytes, match: str) -> None:
    with pytest.raises(ClientError, match=match):
        await heard(data)


@given(st.binary(max_size=200))
async def test_junk_after_a_riff_header_is_a_client_error_and_nothing_else(junk: bytes) -> None:
    with contextlib.suppress(ClientError):
        await heard(b"RIFF\0\0\0\0WAVE" + junk)


async def test_a_plain_file_is_a_source() -> None:
    pipe = await PipeAudio.open(FileBytes(io.BytesIO(bytes(1_000))), Start())
    assert sum([len(b) async for b in pipe.blocks()]) == 1_000


@pytest.mark.parametrize("name", ["FLAC", "OGG", "AIFF", "MP3", "WAV"])
@pytest.mark.parametrize("step", [100, 65_536])
async def test_a_file_of_another_kind_is_decoded_as_it_comes(name: str, step: int) -> None:
    file = io.BytesIO()
    tone = 0.5 * np.sin(np.arange(32_000) / 20)
    sf.write(file, tone, 32_000, format=name, subtype="PCM_24" if name == "WAV" else None)
    # only a tag tells MP3 from samples; programs write one
    data = b"ID3\x04" + bytes(6) + file.getvalue() if name == "MP3" else file.getvalue()
    start, audio = await heard(data, Start(language="de"), step)
    assert (start.sample_rate, start.channels, start.encoding, start.language) == (32_000, 1, "pcm_s16le", "de")
    assert len(audio) / 64_000 == pytest.approx(1.0, abs=0.03)
    assert np.abs(np.frombuffer(audio, "<i2")).max() == pytest.approx(16_384, rel=0.1)


async def test_what_cannot_be_decoded_says_what_it_is() -> None:
    with pytest.raises(ClientError, match="this is WebM, which cannot be decoded") as refused:
        await heard(b"\x1a\x45\xdf\xa3" + bytes(500))
    assert "transcribe -" in refused.value.remedy
