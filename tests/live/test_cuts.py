"""Connections and servers that go at any moment: every word comes once, every mark is answered once, all is counted.

The words of the fake engine name the place of the audio that they were heard in, written into its lowest bits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from cohear_client import connect
from cohear_client.protocol import Configure, Done, Final, Finalized, ServerMessage, Warning
from cohear_client.stream import Stream
from cohear_server.core.jobs import Pcm
from cohear_testing.fake import FakeBackend, FakeOptions, ServiceTime
from hypothesis import given
from hypothesis import strategies as st

from ..examples import examples
from ..serving import Running, serving
from .test_reconnect import Network, hear

SLOT = 4_000
"""A word for each quarter of a second that begins in a window."""

MARK = 16
"""Samples a mark: a start bit pattern, and the number of the mark in the stream."""

PERIOD = 48
MAGIC = 0xC0DE


def marked(audio: Pcm) -> Pcm:
    """The audio with its own places in the lowest bits: 16 bits that mark, 32 that count, again and again."""
    period, bit = np.divmod(np.arange(len(audio)), PERIOD)
    bits = np.where(bit < MARK, MAGIC >> bit, period >> np.maximum(bit - MARK, 0)) & 1
    return ((audio & ~1) | bits).astype(np.int16)


def place_of(pcm: Pcm) -> int:
    """The place in the stream of a window's first sample."""
    bits = (pcm[: 3 * PERIOD] & 1).astype(np.int64)
    for offset in range(PERIOD):
        magic, count = bits[offset : offset + MARK], bits[offset + MARK : offset + PERIOD]
        again = bits[offset + PERIOD : offset + PERIOD + MARK]
        if all(int(part @ (1 << np.arange(MARK))) == MAGIC for part in (magic, again)):
            return int(count @ (1 << np.arange(PERIOD - MARK))) * PERIOD - offset
    raise AssertionError("a window without marks")


def words_of(pcm: Pcm) -> list[str]:
    place = place_of(pcm)
    return [f"t{slot}" for slot in range(-(-place // SLOT), -(-(place + len(pcm)) // SLOT))]


@dataclass(frozen=True, slots=True)
class Event:
    """What happens before a block of audio is sent."""

    block: int
    kind: str
    turns: int
    """of the event loop before it happens"""


@dataclass(frozen=True, slots=True)
class Plan:
    """A stream: spoken and silent seconds in turn, sent in blocks, and what happens meanwhile."""

    spoken_s: list[float]
    silent_s: list[float]
    block_s: float
    events: list[Event]

    @property
    def audio(self) -> tuple[Pcm, set[str]]:
        """All samples, and the words that are spoken for sure."""
        random, parts, words, at = np.random.default_rng(5), [], set[str](), 0
        for spoken_s, silent_s in zip(self.spoken_s, self.silent_s, strict=False):
            silent, spoken = int(silent_s * 16_000), int(spoken_s * 16_000)
            parts += [
                np.zeros(silent, np.int16),
                random.normal(0, 4_000, spoken).clip(-32_768, 32_767).astype(np.int16),
            ]
            begin, at = at + silent, at + silent + spoken
            words |= {f"t{slot}" for slot in range(-(-(begin + 1_600) // SLOT), (at - 1_600) // SLOT)}
        parts.append(np.zeros(12_000, np.int16))
        return marked(np.concatenate(parts)), words


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    spoken_s = draw(st.lists(st.floats(0.5, 12.0), min_size=2, max_size=8))
    silent_s = [draw(st.floats(0.6, 4.0)) for _ in spoken_s]
    if draw(st.booleans()):
        silent_s[draw(st.integers(0, len(silent_s) - 1))] = 70.0  # more than is kept
    block_s = draw(st.sampled_from([0.05, 0.3, 1.0, 6.0]))
    blocks = int((sum(spoken_s) + sum(silent_s)) / block_s)
    kinds = st.sampled_from(["cut", "close", "restart", "drain", "finalize", "configure"])
    events = st.builds(Event, st.integers(0, blocks), kinds, st.integers(0, 30))
    return Plan(spoken_s, silent_s, block_s, draw(st.lists(events, max_size=6)))


@dataclass(slots=True)
class Run:
    """One stream over a network whose server is replaced when it restarts."""

    network: Network
    servers: list[Running]
    heard: list[ServerMessage] = field(default_factory=list)
    marks: int = 0
    restarts: int = 0

    async def send(self, plan: Plan, url: str) -> None:
        audio, _ = plan.audio
        step = int(plan.block_s * 16_000)
        async with connect(url) as stream, asyncio.TaskGroup() as group:
            group.create_task(hear(stream, self.heard))
            for block, at in enumerate(range(0, len(audio), step)):
                for event in (e for e in plan.events if e.block == block):
                    await self._let(event, stream, group)
                await stream.send(audio[at : at + step])
            await stream.stop()
            for event in (e for e in plan.events if e.block > (len(audio) - 1) // step):
                await self._let(event, stream, group)

    async def _let(self, event: Event, stream: Stream, group: asyncio.TaskGroup) -> None:
        for _ in range(event.turns):
            await asyncio.sleep(0)
        match event.kind:
            case "cut":
                self.network.cut()
            case "close":
                self.network.close()
            case "restart" | "drain":
                old = self.servers[self.restarts % len(self.servers)]
                self.restarts += 1
                self.network.target = self.servers[self.restarts % len(self.servers)].address
                if event.kind == "drain":
                    group.create_task(self._drain(old))
                else:
                    self.network.cut()
            case "finalize":
                with contextlib.suppress(Exception):
                    await stream.finalize(str(self.marks))
                    self.marks += 1
            case "configure":
                with contextlib.suppress(Exception):
                    await stream.configure(Configure(prompt="Cohear"))

    async def _drain(self, server: Running) -> None:
        await server.service.drain(5.0)
        server.service.draining = False


def marking() -> FakeBackend:
    """An engine whose words name places."""
    return FakeBackend(FakeOptions(script=words_of, service=ServiceTime(fixed_ms=3)))


async def run(plan: Plan) -> Run:
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(marking())) for _ in range(2)]
        made = Run(Network(servers[0].address), servers)
        url = await stack.enter_async_context(made.network.running())
        async with asyncio.timeout(200):
            await made.send(plan, url)
    return made


@examples(0.1)
@given(plans())
def test_whatever_goes_nothing_is_lost_and_nothing_comes_twice(plan: Plan) -> None:
    made = asyncio.run(run(plan))
    audio, spoken = plan.audio
    finals = [e for e in made.heard if isinstance(e, Final)]
    words = Counter(word for final in finals for word in final.text.split())
    assert not spoken - words.keys(), "words that are lost"
    assert not [word for word, times in words.items() if times > 1], "words that came twice"
    assert [w for f in finals for w in f.text.split()] == sorted(words, key=lambda word: int(word[1:]))
    for final in finals:
        said_s = [int(word[1:]) * SLOT / 16_000 for word in final.text.split() if word in spoken]
        assert all(final.start_s <= place_s < final.end_s for place_s in said_s), "times are those of the stream"
    assert [f.segment_id for f in finals] == sorted({f.segment_id for f in finals})
    assert Counter(e.id for e in made.heard if isinstance(e, Finalized)) == Counter(map(str, range(made.marks)))
    assert not any(isinstance(e, Warning) and e.code == "audio_lost" for e in made.heard)
    done = made.heard[-1]
    assert isinstance(done, Done)
    assert done.samples.received == len(audio) == done.samples.transcribed + done.samples.silent
