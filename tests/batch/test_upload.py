"""One file on the engine of live streams: its text in order, its language, its faults, and what it may hold."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cohear_server.batch import upload as upload_module
from cohear_server.batch.options import HearingOptions
from cohear_server.batch.splitter import SplitOptions
from cohear_server.batch.text import WindowText
from cohear_server.batch.upload import AHEAD, Upload, UploadedFile
from cohear_server.batch.uploads import ROOM, UploadLimits, Uploads
from cohear_server.core.jobs import JobKind, Pcm
from cohear_server.errors import ClientError, OverloadError, ServerError
from cohear_server.scheduling.dispatcher import Dispatcher
from cohear_server.scheduling.scheduler import Scheduler, SchedulerOptions

from .audio import Echo, bursts, write

HEARING = HearingOptions(vad="energy", split=SplitOptions(min_window_s=0.5, max_window_s=4.0, separate_s=1.0))
LENGTHS_S = [1.0 + n / 20 for n in range(12)]


@contextlib.asynccontextmanager
async def hearing(backend: Echo, limits: UploadLimits | None = None) -> AsyncIterator[Uploads]:
    policy = Scheduler(SchedulerOptions(), slots=backend.slots)
    dispatcher = Dispatcher(backend, policy, time.monotonic)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(dispatcher.run())
        yield Uploads(dispatcher, limits or UploadLimits())
        task.cancel()


def uploaded(tmp_path: Path, pcm: Pcm, tenant: str = "t") -> UploadedFile:
    return UploadedFile(write(tmp_path / "a.wav", pcm).open("rb"), "a.wav", tenant)


async def texts(upload: Upload) -> list[WindowText]:
    async with contextlib.aclosing(upload.texts()) as heard:
        return [text async for text in heard]


def words(heard: list[WindowText]) -> list[str]:
    return [word.text for text in heard for word in text.words]


async def test_windows_come_back_in_the_order_of_the_file(tmp_path: Path) -> None:
    backend = Echo()
    async with hearing(backend) as uploads:
        upload = uploads.hear(backend.model, uploaded(tmp_path, bursts(LENGTHS_S)), HEARING)
        heard = await texts(upload)
    starts = [word.start_s for text in heard for word in text.words]
    assert len(starts) == len(LENGTHS_S)
    assert starts == sorted(starts)
    assert upload.audio_s == pytest.approx(sum(LENGTHS_S) + 1.5 * (len(LENGTHS_S) + 1), abs=0.01)
    assert upload.damage is None
    assert {(job.kind, job.tenant) for job in backend.jobs} == {(JobKind.BULK, "t")}


async def test_the_first_text_comes_long_before_the_file_is_read(tmp_path: Path) -> None:
    backend = Echo()
    async with hearing(backend) as uploads:
        upload = uploads.hear(backend.model, uploaded(tmp_path, bursts([1.0] * 200)), HEARING)
        async with contextlib.aclosing(upload.texts()) as heard:
            await anext(heard)
            assert upload.audio_s < 60
            assert len(backend.jobs) <= AHEAD


async def test_a_language_is_found_by_evidence_and_doubtful_windows_are_heard_again(tmp_path: Path) -> None:
    backend = Echo(languages=("en", "de"))
    backend.detect = lambda seconds: ("en", 0.4) if seconds < 2 else ("de", 0.99)
    async with hearing(backend) as uploads:
        pcm = bursts([0.8, 3.0, 3.0, 1.2, 1.4])
        heard = await texts(uploads.hear(backend.model, uploaded(tmp_path, pcm), HEARING))
    assert {text.language for text in heard} == {"de"}
    asked = [job.options.language for job in backend.jobs]
    assert asked[:2] == [None, None]
    assert set(asked[len(asked) - 2 :]) == {"de"}


async def test_a_file_without_speech_has_no_text_and_a_length(tmp_path: Path) -> None:
    for languages in (("en",), ("en", "de")):
        backend = Echo(languages)
        async with hearing(backend) as uploads:
            upload = uploads.hear(backend.model, uploaded(tmp_path, np.zeros(32_000, np.int16)), HEARING)
            assert await texts(upload) == []
        assert upload.audio_s == 2.0


async def test_what_cannot_be_read_is_told_and_the_rest_is_heard(tmp_path: Path) -> None:
    backend = Echo()
    whole = write(tmp_path / "a.wav", bursts(LENGTHS_S)).read_bytes()
    async with hearing(backend) as uploads:
        file = UploadedFile(io.BytesIO(whole[: len(whole) // 2]), "a.wav", "t")
        upload = uploads.hear(backend.model, file, HEARING)
        assert 0 < len(words(await texts(upload))) < len(LENGTHS_S)
        assert upload.damage is not None
        assert upload.damage.code == "truncated"
        for data in (b"", b"no audio", bytes(5000)):
            with pytest.raises(ClientError, match=r"^b\.mp3: "):
                await texts(uploads.hear(backend.model, UploadedFile(io.BytesIO(data), "b.mp3", "t"), HEARING))


async def test_a_small_file_of_years_of_silence_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_module, "LONGEST_S", 60.0)
    backend = Echo()
    async with hearing(backend) as uploads:
        upload = uploads.hear(backend.model, uploaded(tmp_path, np.zeros(120 * 16_000, np.int16)), HEARING)
        with pytest.raises(ClientError, match=r"^a\.wav: holds more than"):
            await texts(upload)
    assert upload.audio_s < 70


async def test_a_window_that_cannot_be_decoded_ends_its_file_and_no_other(tmp_path: Path) -> None:
    backend = Echo()
    backend.fail_over_s = 3.0
    async with hearing(backend) as uploads:
        with pytest.raises(ServerError, match="a part of the file"):
            await texts(uploads.hear(backend.model, uploaded(tmp_path, bursts([1.0, 3.5, 1.0])), HEARING))
        assert len(words(await texts(uploads.hear(backend.model, uploaded(tmp_path, bursts([1.0])), HEARING)))) == 1


async def test_a_file_that_is_given_up_leaves_nothing_behind(tmp_path: Path) -> None:
    backend = Echo(slots=1)
    file = uploaded(tmp_path, bursts([1.0] * 50))
    async with hearing(backend) as uploads:
        upload = uploads.hear(backend.model, file, HEARING)
        async with contextlib.aclosing(upload.texts()) as heard:
            await anext(heard)
        decoded = len(backend.jobs)
        other = replace(file, file=write(tmp_path / "b.wav", bursts([1.0])).open("rb"))
        await texts(uploads.hear(backend.model, other, HEARING))
        assert len(backend.jobs) <= decoded + AHEAD + 1
        while not file.file.closed:  # noqa: ASYNC110 (the reader closes it, in its thread)
            await asyncio.sleep(0.01)


async def test_many_files_at_once_share_the_room_and_all_are_heard(tmp_path: Path) -> None:
    backend = Echo(slots=1)
    whole = write(tmp_path / "a.wav", bursts(LENGTHS_S)).read_bytes()
    async with hearing(backend) as uploads:
        all_ = [
            uploads.hear(backend.model, UploadedFile(io.BytesIO(whole), f"{n}.wav", f"t{n % 3}"), HEARING)
            for n in range(20)
        ]
        heard = await asyncio.gather(*map(texts, all_))
    assert len({tuple(words(one)) for one in heard}) == 1
    assert max(len(batch) for batch in backend.batches) <= ROOM


async def test_places_are_bounded_in_all_and_by_key() -> None:
    async with hearing(Echo(), UploadLimits(files=3, per_key=2)) as uploads:
        with uploads.place("k"), uploads.place("k"):
            with pytest.raises(OverloadError, match="your key"), uploads.place("k"):
                pass
            with uploads.place(""), pytest.raises(OverloadError, match="3 files"), uploads.place("other"):
                pass
        assert not uploads.held


async def test_what_the_model_does_not_know_is_refused_at_once(tmp_path: Path) -> None:
    backend = Echo(("en",))
    async with hearing(backend) as uploads:
        for wrong in (replace(HEARING, language="de"),):
            with pytest.raises(ClientError, match="'de'"):
                uploads.hear(backend.model, uploaded(tmp_path, bursts([1.0])), wrong)
