"""The client library behind a network that breaks, against the real gateway: no word lost, none twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import pairwise

import numpy as np
import pytest
from cohear_client import connect
from cohear_client.errors import ServerError
from cohear_client.protocol import Configure, Done, Final, ServerMessage, Start, Warning
from cohear_client.stream import Stream
from cohear_testing.fake import FakeBackend

from ..serving import Running, burst, quiet, serving

FRAME = 3_200
UTTERANCE = quiet(0.5) + burst(1.0) + quiet(0.7)
AUDIO = UTTERANCE * 3


class Network:
    """Carries bytes between a client and a server that may change, until it is cut."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.down = False
        self.mute = False
        """what the server says is lost"""
        self._links: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        try:
            yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def close(self) -> None:
        """End the connections as a process does that goes: what it had written still comes."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.down:
            writer.transport.abort()
            return
        host, port = self.target.split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer, down=True))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, down: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if not (down and self.mute):
                    writer.write(data)
                    await writer.drain()
        writer.close()


async def hear(stream: Stream, events: list[ServerMessage]) -> None:
    async for event in stream:
        events.append(event)


async def speak(stream: Stream, audio: bytes) -> None:
    for i in range(0, len(audio), FRAME):
        await stream.send(audio[i : i + FRAME])


def finals(events: list[ServerMessage]) -> list[tuple[int, str, float, float]]:
    return [(e.segment_id, e.text, e.start_s, e.end_s) for e in events if isinstance(e, Final)]


async def undisturbed(running: Running) -> list[ServerMessage]:
    events: list[ServerMessage] = []
    async with connect(running.url) as stream, asyncio.TaskGroup() as group:
        group.create_task(hear(stream, events))
        await speak(stream, AUDIO)
        await stream.stop()
    return events


@pytest.mark.parametrize("cuts", [1, 3, 8])
async def test_a_network_that_breaks_costs_no_word(cuts: int) -> None:
    async with serving(FakeBackend()) as running:
        expected = await undisturbed(running)
        network, events = Network(running.address), list[ServerMessage]()
        async with network.running() as url, connect(url) as stream, asyncio.TaskGroup() as group:
            group.create_task(hear(stream, events))
            step = len(AUDIO) // (cuts + 1) // FRAME * FRAME
            for i in range(cuts):
                await speak(stream, AUDIO[i * step : (i + 1) * step])
                network.cut()
            await speak(stream, AUDIO[cuts * step :])
            await stream.stop()
        assert finals(events) == finals(expected)
        (done,) = (e for e in events if isinstance(e, Done))
        assert done.samples.received == len(AUDIO) // 2
        assert any(isinstance(e, Warning) and e.code == "reconnected" for e in events)


async def test_a_restarted_server_loses_no_words() -> None:
    """The second server knows nothing of the session: it is begun again after the last final."""
    async with serving(FakeBackend()) as first, serving(FakeBackend()) as second:
        expected = await undisturbed(first)
        network, events = Network(first.address), list[ServerMessage]()
        async with network.running() as url, connect(url) as stream, asyncio.TaskGroup() as group:
            group.create_task(hear(stream, events))
            await speak(stream, UTTERANCE)
            await stream.finalize("one")
            await stream.finalized("one")
            await speak(stream, AUDIO[len(UTTERANCE) : len(UTTERANCE) + 32_000])
            network.target = second.address
            network.cut()
            await speak(stream, AUDIO[len(UTTERANCE) + 32_000 :])
            await stream.stop()
        before, after = finals(expected), finals(events)
        # the words of the fake tell its windows' lengths, and the new session has no context: places must agree
        assert [segment for segment, _, _, _ in after] == [segment for segment, _, _, _ in before]
        assert [start for _, _, start, _ in after] == pytest.approx([start for _, _, start, _ in before], abs=0.05)
        assert [end for _, _, _, end in after] == pytest.approx([end for _, _, _, end in before], abs=0.05)
        assert all(text for _, text, _, _ in after)


@pytest.mark.parametrize("stop_first", [False, True])
async def test_a_server_that_shuts_down_in_order_hands_over(stop_first: bool) -> None:
    """It makes final what it has; the next server goes on from there, with no sample heard twice or not at all."""
    async with serving(FakeBackend()) as first, serving(FakeBackend()) as second:
        network, events = Network(first.address), list[ServerMessage]()
        place = len(UTTERANCE) + 32_000  # within the second utterance
        async with network.running() as url, connect(url) as stream, asyncio.TaskGroup() as group:
            group.create_task(hear(stream, events))
            await speak(stream, AUDIO[:place])
            (served,) = first.service.streams.values()
            network.target = second.address
            draining = group.create_task(first.service.drain(5.0))
            if not stop_first:
                await draining
            await speak(stream, AUDIO[place:])
            await stream.stop()
        (done,) = (e for e in events if isinstance(e, Done))
        assert served.session.samples().received < len(AUDIO) // 2, "the second server had a part of it"
        assert done.samples.received == len(AUDIO) // 2, "it counts the whole conversation"
        spoken = [(start_s, end_s) for _, _, start_s, end_s in finals(events)]
        assert spoken == sorted(spoken)
        for i in range(3):
            for moment_s in (0.75, 1.25):
                at_s = i * len(UTTERANCE) / 32_000 + moment_s
                assert any(start_s < at_s < end_s for start_s, end_s in spoken), f"utterance {i} was heard"


async def test_a_finalize_that_was_lost_on_the_way_is_asked_again() -> None:
    async with serving(FakeBackend()) as running:
        network, events = Network(running.address), list[ServerMessage]()
        async with network.running() as url, connect(url) as stream, asyncio.TaskGroup() as group:
            group.create_task(hear(stream, events))
            await speak(stream, quiet(0.5) + burst(1.0))
            network.cut()
            await stream.finalize("here")
            await stream.finalized("here")
            await stream.stop()
        assert len(finals(events)) == 1


@pytest.mark.parametrize("restarted", [False, True])
async def test_options_changed_before_and_during_an_outage_hold(restarted: bool) -> None:
    backend = FakeBackend()
    async with serving(FakeBackend()) as first, serving(backend) as second:
        network = Network(first.address if restarted else second.address)
        async with network.running() as url, connect(url) as stream:
            await stream.configure(Configure(language="en", prompt="before"))
            await speak(stream, UTTERANCE)
            await stream.finalize("one")
            await stream.finalized("one")
            network.target = second.address
            network.cut()
            await speak(stream, UTTERANCE)
            await stream.configure(Configure(prompt="during"))
            await speak(stream, UTTERANCE)
            await stream.stop()
            assert [e async for e in stream]
        prompts = [job.options.prompt for batch in backend.batches for job in batch if job.session_id]
        assert prompts[-1] == "during"
        assert set(prompts) == {"before", "during"}


async def test_whoever_sends_during_an_outage_waits_and_then_hears_why() -> None:
    async with serving(FakeBackend(), resume_window_s=0.2) as running:
        network = Network(running.address)
        async with network.running() as url, connect(url) as stream:
            network.down = True
            network.cut()
            minute = asyncio.create_task(speak(stream, quiet(70.0)))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("cohear_client.stream.GIVE_UP_S", 0.3)
                with pytest.raises(ServerError, match="could not be mended"):
                    await minute
        for request in (stream.send(b""), stream.finalize("x"), stream.configure(Configure()), stream.stop()):
            with pytest.raises(ServerError, match="could not be mended"):
                await request


@pytest.mark.parametrize("from_s", [0.5, 4.0, 7.0])
async def test_a_cut_beside_stop_counts_all_and_says_nothing_twice(from_s: float) -> None:
    """The server is done and forgets the session, and its last words are lost."""
    async with serving(FakeBackend()) as running:
        expected = await undisturbed(running)
        network, events = Network(running.address), list[ServerMessage]()
        place = int(from_s * 32_000) // FRAME * FRAME
        async with network.running() as url, connect(url) as stream, asyncio.TaskGroup() as group:
            group.create_task(hear(stream, events))
            await speak(stream, AUDIO[:place])
            await stream.finalize("here")
            await stream.finalized("here")
            network.mute = True
            await speak(stream, AUDIO[place:])
            await stream.stop()
            await running.service.vacant.wait()
            network.mute = False
            network.cut()
        (done,), (told,) = ([e for e in those if isinstance(e, Done)] for those in (events, expected))
        assert done.samples.received == told.samples.received
        assert done.samples.transcribed + done.samples.silent == done.samples.received
        spoken = [(start_s, end_s) for _, _, start_s, end_s in finals(events)]
        assert all(end_s <= start_s for (_, end_s), (start_s, _) in pairwise(spoken))
        assert sum(e - s for s, e in spoken) * 16_000 == pytest.approx(done.samples.transcribed)


async def test_it_gives_up_where_no_session_is_held_or_none_is_wanted() -> None:
    for held_s, reconnect in ((0, True), (30, False)):
        async with serving(FakeBackend(), resume_window_s=held_s) as running:
            network, events = Network(running.address), list[ServerMessage]()
            async with network.running() as url, connect(url, reconnect=reconnect) as stream:
                await speak(stream, UTTERANCE)
                network.cut()
                with pytest.raises(ServerError, match="connection was lost"):
                    await hear(stream, events)


async def test_an_array_is_replayed_too() -> None:
    async with serving(FakeBackend()) as running:
        network, events = Network(running.address), list[ServerMessage]()
        start = Start(encoding="pcm_f32le")
        pcm = (np.frombuffer(UTTERANCE, "<i2") / 32768).astype("<f4")
        async with network.running() as url, connect(url, start) as stream, asyncio.TaskGroup() as group:
            group.create_task(hear(stream, events))
            for piece in np.array_split(pcm, 40):
                await stream.send(piece)
                if len(events) == 2:
                    network.cut()
            network.cut()
            await stream.stop()
        assert len(finals(events)) == 1
