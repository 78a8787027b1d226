"""OpenAI's routes over real sockets, with a fake engine: what is answered, what is refused and how, and to whom."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from cohear_server.access.keys import add_key
from cohear_server.scheduling.ladder import Rung
from cohear_testing.fake import FAKE_MODEL, FakeBackend, FakeOptions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...serving import Running, serving

CLIP = Path(__file__).parents[3] / "audio_samples" / "jfk.flac"
CLIP_S = 11.0
TRANSCRIBE = "/v1/audio/transcriptions"


@contextlib.asynccontextmanager
async def asking(backend: FakeBackend | None = None, **settings: object) -> AsyncIterator[tuple[Caller, Running]]:
    async with serving(backend or FakeBackend(), **settings) as running:
        url = f"http://{running.address}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
            yield Caller(client), running


class Caller:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def send(self, path: str = TRANSCRIBE, /, **fields: Any) -> httpx.Response:
        """The clip, with these fields; lists are sent once an item."""
        with CLIP.open("rb") as file:
            return await self.client.post(path, data=fields, files={"file": ("jfk.flac", file)})

    async def answered(self, *, full: bool) -> httpx.Response:
        """The first answer of a server that is full, or is not any more."""
        while ((response := await self.send()).status_code == 429) != full:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return response


def fault(response: httpx.Response) -> tuple[int, str, str | None, str]:
    """Status, type, parameter and code of an error in OpenAI's form."""
    told = response.json()
    assert set(told) == {"error"}
    assert set(told["error"]) == {"message", "type", "param", "code"}
    error = told["error"]
    assert len(error["message"]) > 10
    return response.status_code, error["type"], error["param"], error["code"]


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(block.removeprefix("data: ")) for block in text.split("\n\n") if block]


async def test_each_format_tells_the_same_text_and_which_model_heard_it() -> None:
    async with asking() as (caller, _):
        plain = (await caller.send(model="whisper-1")).json()
        assert plain["text"].startswith("w0 w1 w2")
        assert plain["usage"] == {"type": "duration", "seconds": CLIP_S}
        assert plain["model"] == "fake"
        text = await caller.send(response_format="text")
        assert text.text == plain["text"] + "\n"
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        assert text.headers["x-cohear-model"] == "fake"
        verbose = (await caller.send(response_format="verbose_json")).json()
        assert verbose["text"] == plain["text"]
        assert (verbose["task"], verbose["language"], verbose["duration"]) == ("transcribe", "english", CLIP_S)
        assert "".join(one["text"] for one in verbose["segments"]).strip() == plain["text"]
        assert "words" not in verbose
        srt, vtt = [(await caller.send(response_format=name)).text for name in ("srt", "vtt")]
        assert srt.startswith("1\n00:00:0")
        assert vtt.startswith("WEBVTT\n\n00:00:0")


async def test_names_of_any_script_and_holes_in_a_file_are_told_in_headers_too() -> None:
    model = replace(FAKE_MODEL, name="модель")
    async with asking(FakeBackend(FakeOptions(model=model))) as (caller, _):
        cut = {"file": ("речь.flac", CLIP.read_bytes()[:150_000])}
        response = await caller.client.post(TRANSCRIBE, files=cut)
        assert response.json()["model"] == "модель"
        assert response.headers["x-cohear-model"] == "??????"
        (warning,) = response.json()["warnings"]
        assert warning.startswith("речь.flac: the file is damaged")
        assert response.headers["x-cohear-warning"].startswith("????.flac: the file is damaged")


@pytest.mark.parametrize("name", ["timestamp_granularities[]", "timestamp_granularities", "timestamp_granularities[0]"])
async def test_words_come_where_they_are_asked_for_with_and_without_brackets(name: str) -> None:
    async with asking() as (caller, _):
        told = (await caller.send(**{name: ["word"]}, response_format="verbose_json")).json()
        assert "segments" not in told
        assert [word["word"] for word in told["words"]] == told["text"].split()
        times = [time for word in told["words"] for time in (word["start"], word["end"])]
        assert times == sorted(times)
        assert 0 <= times[0] < times[-1] <= CLIP_S


async def test_deltas_join_to_the_text_and_words_have_log_probabilities() -> None:
    async with asking() as (caller, _):
        plain = (await caller.send(**{"include[]": "logprobs"})).json()
        assert "".join(one["token"] for one in plain["logprobs"]).strip() == plain["text"]
        assert all(bytes(one["bytes"]).decode() == one["token"] for one in plain["logprobs"])
        response = await caller.send(stream="true", **{"include[]": "logprobs"})
        assert response.headers["content-type"].startswith("text/event-stream")
        *deltas, done = events(response.text)
        assert {one["type"] for one in deltas} == {"transcript.text.delta"}
        assert done["type"] == "transcript.text.done"
        assert "".join(one["delta"] for one in deltas) == done["text"] == plain["text"]
        assert [one for delta in deltas for one in delta["logprobs"]] == done["logprobs"] == plain["logprobs"]
        assert (done["usage"], done["model"]) == (plain["usage"], "fake")


async def test_the_first_delta_comes_before_the_rest_is_decoded(tmp_path: Path) -> None:
    pcm, rate_hz = soundfile.read(CLIP, dtype="int16")
    soundfile.write(tmp_path / "long.flac", np.tile(pcm, 8), rate_hz)
    options = FakeOptions()
    async with asking(FakeBackend(options)) as (caller, running):
        request = {"data": {"stream": "true"}, "files": {"file": (tmp_path / "long.flac").read_bytes()}}
        async with caller.client.stream("POST", TRANSCRIBE, **request) as response:  # type: ignore[arg-type]
            lines = response.aiter_lines()
            assert "delta" in await anext(lines)
            options.hangs = True  # and nothing more is decoded; the client has its words all the same
        options.hangs = False
        # the client is gone, and its work with it
        while len(running.service.scheduler) or running.service.dispatcher.decoding:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_json_with_the_audio_inside_is_taken_too_and_a_form_without_a_length() -> None:
    async with asking() as (caller, _):
        audio = {"data": base64.b64encode(CLIP.read_bytes()).decode(), "format": "flac"}
        told = await caller.client.post(TRANSCRIBE, json={"model": "x", "language": None, "input_audio": audio})
        assert told.json()["text"] == (await caller.send()).json()["text"]

        async def parts() -> AsyncIterator[bytes]:
            head = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
            yield head % (b"file", b'; filename=""', CLIP.read_bytes())
            await asyncio.sleep(0)
            yield head % (b"unknown[]", b"", b"ignored") + head % (b"response_format", b"", b"text") + b"--b--\r\n"

        kind = {"content-type": "multipart/form-data; boundary=b"}
        response = await caller.client.post(TRANSCRIBE, content=parts(), headers=kind)
        assert response.request.headers["transfer-encoding"] == "chunked"
        assert response.text == told.json()["text"] + "\n"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "diarized_json"}, "response_format"),
        ({"temperature": "7"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"language": "klingon"}, "language"),
        ({"language": "de"}, "language"),
        ({"prompt": "<|en|>"}, "prompt"),
        ({"prompt": "x" * 9_000}, "prompt"),
        ({"keywords[]": ["a", "<|0.00|>"]}, "keywords"),
        ({"stream": "perhaps"}, "stream"),
        ({"timestamp_granularities[]": ["letter"]}, "timestamp_granularities[0]"),
    ],
)
async def test_wrong_fields_are_refused_by_name(fields: dict[str, Any], param: str) -> None:
    async with asking() as (caller, _):
        status, kind, named, _ = fault(await caller.send(**fields))
        assert (status, kind, named) == (400, "invalid_request_error", param)


async def test_what_is_no_such_request_is_refused_in_their_form() -> None:
    async with asking() as (caller, _):
        post = caller.client.post
        assert fault(await post(TRANSCRIBE, json={}))[:3] == (400, "invalid_request_error", "file")
        assert fault(await post(TRANSCRIBE, json=[1]))[2] == "file"
        assert fault(await post(TRANSCRIBE))[2] == "file"
        assert fault(await post(TRANSCRIBE, data={"file": "text"}))[2] == "file"
        assert fault(await post(TRANSCRIBE, files={"other": b"x"}))[2] == "file"
        assert fault(await post(TRANSCRIBE, content=b"x", headers={"content-type": "audio/wav"}))[0] == 415
        assert fault(await post(TRANSCRIBE, files={"file": b"no audio"})) == (
            415,
            "invalid_request_error",
            "file",
            "bad_file",
        )
        assert fault(await post(TRANSCRIBE, json={"input_audio": {"data": "!", "format": "wav"}}))[0] == 400
        form = {"content-type": "multipart/form-data; boundary=b"}
        assert fault(await post(TRANSCRIBE, content=b"--b\r\nnonsense", headers=form))[0] == 400
        assert fault(await caller.send("/v1/audio/translations"))[3] == "unsupported_task"
        assert fault(await caller.client.get("/v1/models/nothing")) == (
            404,
            "invalid_request_error",
            None,
            "unknown_model",
        )
        assert (await caller.send()).status_code == 200


async def test_the_loaded_model_is_listed() -> None:
    async with asking() as (caller, _):
        (listed,) = (await caller.client.get("/v1/models")).json()["data"]
        assert (listed["id"], listed["object"]) == ("fake", "model")
        assert (await caller.client.get("/v1/models/fake")).json() == listed


async def test_too_large_a_file_is_refused_by_its_length_and_without_one() -> None:
    async with asking(max_upload_mb=1) as (caller, _):
        large = bytes(3 << 20)
        assert fault(await caller.client.post(TRANSCRIBE, files={"file": large}))[0] == 413

        async def body() -> AsyncIterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            for at in range(0, len(large), 65536):
                yield large[at : at + 65536]

        form = {"content-type": "multipart/form-data; boundary=b"}
        assert fault(await caller.client.post(TRANSCRIBE, content=body(), headers=form))[0] == 413
        encoded = base64.b64encode(large).decode()
        assert fault(await caller.client.post(TRANSCRIBE, json={"input_audio": {"data": encoded}}))[0] == 413


async def test_one_file_too_many_is_told_when_to_come_back() -> None:
    options = FakeOptions()
    async with asking(FakeBackend(options), max_uploads=1) as (caller, running):
        options.hangs = True
        first = asyncio.create_task(caller.send())
        while not running.service.dispatcher.decoding:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        response = await caller.send()
        assert fault(response) == (429, "rate_limit_error", None, "overloaded")
        assert int(response.headers["retry-after"]) > 0
        options.hangs = False
        assert (await first).status_code == 200
        assert (await caller.send()).status_code == 200


async def test_whoever_leaves_in_the_middle_of_a_file_frees_the_place() -> None:
    async with asking(max_uploads=1) as (caller, running):
        host, port = running.address.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = "Host: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 999\r\n\r\n--b\r\n"
        writer.write(f"POST {TRANSCRIBE} HTTP/1.1\r\n{head}".replace("Host: x", f"Host: {host}").encode())
        assert await caller.answered(full=True)
        writer.close()
        assert (await caller.answered(full=False)).status_code == 200


async def test_a_server_whose_streams_take_all_says_so() -> None:
    async with asking() as (caller, running):
        running.service.engine.capacity.rung = Rung.NO_PARTIALS
        assert fault(await caller.send())[::3] == (429, "overloaded")
        running.service.draining = True
        response = await caller.send()
        assert fault(response)[::3] == (503, "draining")
        assert "retry-after" in response.headers


async def test_pages_of_other_hosts_may_not_send_files() -> None:
    async with asking(allowed_origins="https://good.example") as (caller, _):
        for origin, status in (("https://bad.example", 403), ("https://good.example", 200)):
            response = await caller.client.post(
                TRANSCRIBE, files={"file": CLIP.read_bytes()}, headers={"origin": origin}
            )
            assert response.status_code == status
            assert (response.headers.get("access-control-allow-origin") == origin) == (status == 200)


async def test_keys_are_asked_for_in_their_form_and_share_the_places(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    key = add_key(file, "app", ("stream",))
    async with asking(keys=str(file)) as (caller, _):
        assert fault(await caller.send()) == (401, "invalid_request_error", None, "invalid_api_key")
        caller.client.headers["authorization"] = "Bearer wrong"
        assert fault(await caller.send())[3] == "invalid_api_key"
        caller.client.headers["authorization"] = f"Bearer {key}"
        assert (await caller.send()).status_code == 200


async def test_a_fault_of_the_engine_is_an_answer_and_an_event() -> None:
    options = FakeOptions()
    async with asking(FakeBackend(options)) as (caller, running):
        options.unavailable = True
        status, kind, _, _ = fault(await caller.send())
        assert (status, kind) == (503, "server_error")
        running.service.dispatcher._watch.succeeded(running.service.clock())
        (told,) = events((await caller.send(stream="true")).text)
        assert told["error"]["type"] == "server_error"


NAMES = st.sampled_from(["file", "model", "stream", "language", "temperature", "include[]", "x", "response_format"])
PART = st.tuples(NAMES, st.binary(max_size=40), st.booleans())


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PART, max_size=6), st.binary(max_size=60), st.sampled_from(["form", "json", "odd"]))
async def test_malformed_requests_are_refused_in_their_form(
    parts: list[tuple[str, bytes, bool]], tail: bytes, kind: str
) -> None:
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
        % (name.encode(), b'; filename="a"' if is_file else b"", value)
        for name, value, is_file in parts
    )
    types = {"form": "multipart/form-data; boundary=b", "json": "application/json", "odd": "multipart/form-data"}
    async with asking() as (caller, _):
        response = await caller.client.post(TRANSCRIBE, content=body + tail, headers={"content-type": types[kind]})
        assert fault(response)[0] in (400, 415)
        assert (await caller.client.get("/v1/models")).status_code == 200
