"""OpenAI's Python library, sync and async, as it is, against a server with tiny.en."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from ...samples import load_samples
from ..conftest import MOST_UPLOAD_MB, MOST_UPLOADS, Server

CLIP = next(one for one in load_samples(speech=True) if one.path.name == "jfk.flac")
SAID = "your country can do for you"


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.url, api_key=server.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def text(server: Server) -> str:
    with OpenAI(base_url=server.url, api_key=server.key) as client:
        return client.audio.transcriptions.create(file=CLIP.path, model="whisper-1").text


def encoded(folder: Path, name: str, codec: str, rate_hz: int) -> Path:
    """The clip in the container of that suffix."""
    path = folder / name
    frame = av.AudioFrame.from_ndarray(CLIP.pcm16k()[None], "s16", "mono")
    frame.sample_rate = 16_000
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate_hz, layout="mono")
        resampler = av.AudioResampler(stream.format.name, "mono", rate_hz, stream.frame_size or None)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def test_every_format_tells_the_same(client: OpenAI, text: str) -> None:
    assert SAID in text
    create = client.audio.transcriptions.create
    assert create(file=CLIP.path, model="gpt-4o-transcribe", response_format="text").strip() == text
    told = create(file=CLIP.path, model="x", response_format="json", include=["logprobs"], language="en")
    assert told.text == text
    assert told.usage is not None
    assert told.usage.type == "duration"
    assert told.usage.seconds == pytest.approx(CLIP.seconds, abs=0.01)
    assert told.logprobs is not None
    assert "".join(one.token or "" for one in told.logprobs).strip() == text
    assert all(one.logprob is not None and one.logprob <= 0 for one in told.logprobs)
    assert "country" in create(file=CLIP.path, model="x", temperature=0.2).text
    srt = create(file=CLIP.path, model="x", response_format="srt")
    vtt = create(file=CLIP.path, model="x", response_format="vtt")
    assert srt.startswith("1\n")
    assert vtt.startswith("WEBVTT")
    assert all("-->" in cues and "country" in cues for cues in (srt, vtt))


def test_words_and_segments_lie_in_order_inside_the_audio(client: OpenAI, text: str) -> None:
    told = client.audio.transcriptions.create(
        file=CLIP.path,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        prompt="A speech.",
    )
    assert told.language == "english"
    assert float(told.duration) == pytest.approx(CLIP.seconds, abs=0.01)
    assert told.words is not None
    assert told.segments is not None
    for parts in (told.words, told.segments):
        times = [time for part in parts for time in (part.start, part.end)]
        assert times == sorted(times)
        assert 0 <= times[0] < times[-1] <= told.duration
    assert " ".join(word.word for word in told.words) == told.text
    assert "".join(one.text for one in told.segments).strip() == told.text


def test_deltas_join_to_the_text(client: OpenAI, text: str) -> None:
    events = list(client.audio.transcriptions.create(file=CLIP.path, model="whisper-1", stream=True))
    *deltas, done = events
    assert done.type == "transcript.text.done"
    assert "".join(one.delta for one in deltas if one.type == "transcript.text.delta") == done.text == text


async def test_many_at_once(server: Server, text: str) -> None:
    async with AsyncOpenAI(base_url=server.url, api_key=server.key) as client:
        create = client.audio.transcriptions.create
        all_ = await asyncio.gather(*(create(file=CLIP.path, model="whisper-1") for _ in range(MOST_UPLOADS)))
        assert {one.text for one in all_} == {text}
        events = await create(file=CLIP.path, model="whisper-1", stream=True)
        assert [event.text async for event in events if event.type == "transcript.text.done"] == [text]
        assert [model.id async for model in await client.models.list()] == ["tiny.en"]


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz"),
    [
        ("a.mp3", "mp3", 44_100),
        ("a.m4a", "aac", 44_100),
        ("a.ogg", "libopus", 48_000),
        ("a.webm", "libopus", 48_000),
        ("a.wav", "pcm_s16le", 8_000),
    ],
)
def test_every_kind_of_file_that_openai_names(
    client: OpenAI, tmp_path: Path, name: str, codec: str, rate_hz: int
) -> None:
    data = encoded(tmp_path, name, codec, rate_hz).read_bytes()
    for called in (name, "wrong.bin"):
        told = client.audio.transcriptions.create(file=(called, data), model="whisper-1")
        assert SAID in told.text


def test_errors_are_the_librarys_own(client: OpenAI, server: Server) -> None:
    create = client.audio.transcriptions.create
    with pytest.raises(openai.BadRequestError) as wrong:
        create(file=CLIP.path, model="x", language="de")
    assert wrong.value.param == "language"
    assert wrong.value.code == "unsupported_language"
    assert wrong.value.request_id
    with pytest.raises(openai.BadRequestError) as wrong:
        client.audio.translations.create(file=CLIP.path, model="x")
    assert wrong.value.code == "unsupported_task"
    with pytest.raises(openai.BadRequestError):
        client.post("/audio/transcriptions", body={}, cast_to=object)
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("whisper-9")
    assert client.models.retrieve("tiny.en").owned_by
    for data, status in ((b"no audio at all", 415), (bytes((MOST_UPLOAD_MB + 1) << 20), 413)):
        with pytest.raises(openai.APIStatusError) as refused:
            create(file=("a.wav", data), model="x")
        assert refused.value.status_code == status
        assert refused.value.param == "file"
    stranger = OpenAI(base_url=server.url, api_key="sk-unknown", max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError) as unknown:
        stranger.models.list()
    assert unknown.value.code == "invalid_api_key"


def test_one_too_many_is_told_when_to_come_back_and_comes_back(client: OpenAI, server: Server, text: str) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(MOST_UPLOADS):
            held.enter_context(begun(server))
        assert int(refusal(client).response.headers["retry-after"]) > 0
    again = client.with_options(max_retries=5)
    assert again.audio.transcriptions.create(file=CLIP.path, model="x").text == text


def refusal(client: OpenAI) -> openai.RateLimitError:
    """The first, which comes once the server has read the heads of all that hold a place."""
    for _ in range(100):
        try:
            client.audio.transcriptions.create(file=CLIP.path, model="x")
        except openai.RateLimitError as fault:
            return fault
    pytest.fail("a file too many was taken")


@contextlib.contextmanager
def begun(server: Server) -> Iterator[None]:
    """A request whose body never ends."""
    host, port = server.address.split(":")
    head = {
        "Host": server.address,
        "Authorization": f"Bearer {server.key}",
        "Content-Type": "multipart/form-data; boundary=b",
        "Content-Length": "1000",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"POST /v1/audio/transcriptions HTTP/1.1\r\n{lines}\r\n--b\r\n".encode())
        yield


def test_silence_is_no_text(client: OpenAI, tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.zeros(48_000, np.int16), 16_000)
    told: Any = client.audio.transcriptions.create(file=tmp_path / "a.wav", model="x", response_format="verbose_json")
    assert (told.text, told.segments, told.duration) == ("", [], 3.0)
