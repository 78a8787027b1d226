"""`base` with `tiny.en` for its partials: on that rung they come from the smaller model, before and after it they do
not, and finals never do. When the rung is taken is tested in `tests/test_overload.py`; here it is told."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

import pytest
from cohear_client.protocol import Final, Finalized, Partial, ServerMessage, Start, Warning
from cohear_server.config import ServerConfig
from cohear_server.core.jobs import DecodeJob, DecodeResult, JobKind
from cohear_server.errors import ClientError
from cohear_server.live.backend import make_backend
from cohear_server.live.observer import Unobserved
from cohear_server.live.service import Service
from cohear_server.scheduling.ladder import Rung
from cohear_server.wire.local import LocalStream, open_stream

from ..samples import load_samples

(JFK,) = (s for s in load_samples(speech=True) if s.path.stem == "jfk")
FRAME = 1_600
MID_SPEECH = 15 * FRAME


class Counted(Unobserved):
    """Which model decoded what."""

    def __init__(self) -> None:
        self.jobs: list[DecodeJob] = []

    def decoded(self, batch: Sequence[DecodeJob], results: Sequence[DecodeResult], busy_s: float) -> None:
        self.jobs += batch

    def models(self, kind: JobKind) -> set[str]:
        return {job.options.model for job in self.jobs if job.kind is kind}


async def until(events: AsyncIterator[ServerMessage], kind: type[ServerMessage]) -> list[ServerMessage]:
    """Events up to the first of this kind."""
    got: list[ServerMessage] = []
    while not got or not isinstance(got[-1], kind):
        got.append(await anext(events))
    return got


async def said(stream: LocalStream, events: AsyncIterator[ServerMessage]) -> str:
    """The final text of the sample; a partial of its beginning was seen before."""
    pcm = JFK.pcm16k()
    for at in range(0, len(pcm), FRAME):
        await stream.send(pcm[at : at + FRAME])
        if at == MID_SPEECH:  # else its final could come before any partial is decoded
            await until(events, Partial)
    await stream.finalize("said")
    return " ".join(event.text for event in await until(events, Finalized) if isinstance(event, Final))


@pytest.mark.model
async def test_partials_come_from_tiny_en_and_finals_from_base() -> None:
    config = ServerConfig(model="base", partial_model="tiny.en", offline=True, device="cpu", workers=1, admission=False)
    try:
        service = Service(config, make_backend(config))
    except ClientError as fault:
        pytest.skip(f"the weights of base or tiny.en are not here: {fault}")
    heard: dict[Rung, Counted] = {}
    texts: dict[Rung, str] = {}
    async with service.running():
        load = service.engine.capacity
        assert 0 < load._smaller_share() < 1
        async with open_stream(service, Start(language="en")) as stream:
            events = aiter(stream)
            for rung in (Rung.SMALLER, Rung.USUAL):
                load.step = lambda now_s, rung=rung: rung  # type: ignore[method-assign, misc]
                warned = (await until(events, Warning))[-1]
                assert isinstance(warned, Warning)
                assert warned.code == ("degraded" if rung is Rung.SMALLER else "restored")
                heard[rung] = Counted()
                service.observer.add(heard[rung])
                texts[rung] = await said(stream, events)
                service.observer.remove(heard[rung])
    assert heard[Rung.SMALLER].models(JobKind.PARTIAL) == {"tiny.en"}
    assert heard[Rung.USUAL].models(JobKind.PARTIAL) == {"base"}
    assert heard[Rung.SMALLER].models(JobKind.FINAL) == heard[Rung.USUAL].models(JobKind.FINAL) == {"base"}
    assert all(re.search(r"\b[Aa]sk what you can do for your country", text) for text in texts.values())
