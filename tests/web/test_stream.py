"""`cohear.js` behind a network that breaks and servers that go, against the real gateway: no word lost, none twice."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from cohear_client.protocol import SUBPROTOCOL
from cohear_testing.fake import FakeBackend

from ..live.test_cuts import Plan, marking
from ..live.test_reconnect import AUDIO, FRAME, UTTERANCE, Network, undisturbed
from ..live.test_reconnect import finals as finals_of
from ..serving import burst, quiet, serving
from .browser import Browser, Page, Setup, tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

# `disturb` is Python's, called before the samples at each of `breaks` are sent
SPEAK = """async ({ pcm, frame, breaks, finalize, configure, fast }) => {
  const { connect } = await import('/web/cohear.js');
  const samples = new Int16Array(Uint8Array.from(atob(pcm), (c) => c.charCodeAt(0)).buffer);
  const events = [];
  const stream = await connect();
  for (const type of ['final', 'warning', 'restarted', 'state', 'closing', 'done']) {
    stream.addEventListener(type, ({ detail }) => events.push({ ...detail, type }));
  }
  for (let at = 0; at < samples.length; at += frame) {
    if (finalize.includes(at)) await stream.finalize(`at ${at}`);
    if (breaks.includes(at)) await disturb(at);
    if (configure.includes(at)) stream.configure({ prompt: `at ${at}` });
    stream.send(samples.subarray(at, at + frame));
    if (fast) await stream.room();
  }
  await stream.stop();
  return { events, dropped: stream.droppedSamples };
}"""

Answer = dict[str, Any]


@contextlib.asynccontextmanager
async def page_at(browser: Browser, url: str, disturb: Callable[[int], Awaitable[None]]) -> AsyncIterator[Page]:
    async with tab(browser, Setup(console=("WebSocket connection", "net::ERR_"))) as page:
        await page.expose_function("disturb", disturb)
        await page.goto(url.replace("ws:", "http:"))
        yield page


async def speak(page: Page, audio: bytes, breaks: list[int], **more: Any) -> Answer:
    """What came of the audio; `breaks`, `finalize` and `configure` are places in samples."""
    told = {"frame": FRAME // 2, "breaks": breaks, "finalize": [], "configure": [], "fast": False} | more
    told["pcm"] = base64.b64encode(audio).decode()
    answer: Answer = await page.evaluate(SPEAK, told)
    return answer


def finals(answer: Answer) -> list[tuple[int, str, float, float]]:
    return [(e["segment_id"], e["text"], e["start_s"], e["end_s"]) for e in answer["events"] if e["type"] == "final"]


def types(answer: Answer) -> list[str]:
    return [e["type"] for e in answer["events"]]


@pytest.mark.parametrize("cuts", [1, 8])
async def test_a_network_that_breaks_costs_no_word(browser: Browser, cuts: int) -> None:
    async with serving(FakeBackend()) as running:
        expected = finals_of(await undisturbed(running))
        network = Network(running.address)

        async def cut(_: int) -> None:
            network.cut()

        step = len(AUDIO) // (cuts + 1) // FRAME * FRAME // 2
        async with network.running() as url, page_at(browser, url, cut) as page:
            answer = await speak(page, AUDIO, [step * (i + 1) for i in range(cuts)])
        assert finals(answer) == expected
        assert answer["events"][-1]["samples"]["received"] == len(AUDIO) // 2
        assert answer["dropped"] == 0
        assert "reconnecting" in [e.get("state") for e in answer["events"]]
        assert "restarted" not in types(answer)


async def test_a_restarted_server_loses_no_words(browser: Browser) -> None:
    """The second server knows nothing of the session: it is begun again after the last final."""
    async with serving(FakeBackend()) as first, serving(FakeBackend()) as second:
        expected = finals_of(await undisturbed(first))
        network = Network(first.address)

        async def replace(_: int) -> None:
            network.target = second.address
            network.cut()

        heard = len(UTTERANCE) // 2
        async with network.running() as url, page_at(browser, url, replace) as page:
            answer = await speak(page, AUDIO, [heard + 16_000], finalize=[heard])
        got = finals(answer)
        # the words of the fake tell its windows' lengths, and the new session has no context: places must agree
        segments = [segment for segment, *_ in got]
        assert segments == sorted(set(segments)), "numbers go on, but one may be missing where a partial was cut off"
        assert [row[2] for row in got] == pytest.approx([row[2] for row in expected], abs=0.05)
        assert [row[3] for row in got] == pytest.approx([row[3] for row in expected], abs=0.05)
        assert all(text for _, text, _, _ in got)
        assert "restarted" in types(answer)


async def test_a_server_that_shuts_down_in_order_hands_over(browser: Browser) -> None:
    """It makes final what it has; the next server goes on from there, with no sample heard twice or not at all."""
    async with serving(FakeBackend()) as first, serving(FakeBackend()) as second:
        network = Network(first.address)
        received: list[int] = []

        async def shut_down(_: int) -> None:
            (stream,) = first.service.streams.values()
            network.target = second.address
            await first.service.drain(5.0)
            received.append(stream.session.samples().received)

        place = len(UTTERANCE) // 2 + 16_000  # within the second utterance
        async with network.running() as url, page_at(browser, url, shut_down) as page:
            answer = await speak(page, AUDIO, [place])
        assert "closing" in types(answer)
        done = answer["events"][-1]
        assert received[0] < len(AUDIO) // 2, "the second server had a part of it"
        assert done["samples"]["received"] == len(AUDIO) // 2, "it counts the whole conversation"
        spoken = [(start_s, end_s) for _, _, start_s, end_s in finals(answer)]
        assert spoken == sorted(spoken)
        for i in range(3):
            for moment_s in (0.75, 1.25):  # before and after the place where the servers change
                at_s = i * len(UTTERANCE) / 32_000 + moment_s
                assert any(start_s < at_s < end_s for start_s, end_s in spoken), f"utterance {i} was heard"


@pytest.mark.parametrize("goes", ["network", "server"])
async def test_a_fast_file_loses_nothing_when_something_goes(browser: Browser, goes: str) -> None:
    """More than is kept, silence too: whatever is not settled when it goes is heard again."""
    plan = Plan([3.0, 12.0, 5.0, 9.0], [0.7, 80.0, 1.0, 30.0], 0, [])
    audio, spoken = plan.audio
    async with serving(marking()) as first, serving(marking()) as second:
        network = Network(first.address)

        async def go(_: int) -> None:
            if goes == "server":
                network.target = second.address
            network.cut()

        frame = 8_000
        breaks = [at for at in range(0, len(audio), frame) if at // frame in (20, 200, 270)]
        async with network.running() as url, page_at(browser, url, go) as page:
            answer = await speak(page, audio.tobytes(), breaks, frame=frame, fast=True)
        words = [word for _, text, _, _ in finals(answer) for word in text.split()]
        assert not spoken - set(words)
        assert len(words) == len(set(words))
        assert answer["dropped"] == 0
        samples = answer["events"][-1]["samples"]
        assert samples["received"] == len(audio) == samples["transcribed"] + samples["silent"]


@pytest.mark.parametrize("restarted", [False, True])
async def test_options_changed_while_the_connection_is_away_hold(browser: Browser, restarted: bool) -> None:
    backend = FakeBackend()
    async with serving(FakeBackend()) as first, serving(backend) as second:
        network = Network(first.address if restarted else second.address)
        place = len(UTTERANCE) // FRAME * FRAME // 2

        async def go(_: int) -> None:
            network.target = second.address
            network.cut()

        async with network.running() as url, page_at(browser, url, go) as page:
            await speak(page, AUDIO, [place], configure=[place])
        assert backend.batches[-1][0].options.prompt == f"at {place}"


async def test_audio_that_no_memory_holds_is_counted_and_left_out_of_time(browser: Browser) -> None:
    """70 s without a network, where 60 s are kept."""
    audio = UTTERANCE + quiet(70.0) + UTTERANCE
    async with serving(FakeBackend()) as running:
        network = Network(running.address)

        async def go_down_or_up(at: int) -> None:
            network.down = at < len(audio) // 4
            network.cut()

        begun, back = len(UTTERANCE) // 2, (len(audio) - len(UTTERANCE)) // 2
        async with network.running() as url, page_at(browser, url, go_down_or_up) as page:
            answer = await speak(page, audio, [begun, back], finalize=[begun])
        (first, last) = finals(answer)
        expected_s = (len(audio) - len(UTTERANCE)) / 32_000
        assert last[2] - first[2] == pytest.approx(expected_s, abs=0.1)
        assert 10 * 16_000 <= answer["dropped"] <= 14 * 16_000
        lost = [e for e in answer["events"] if e["type"] == "warning" and e["code"] == "audio_lost"]
        assert sum(e["end_s"] - e["start_s"] for e in lost) == pytest.approx(answer["dropped"] / 16_000)
        assert len(UTTERANCE) / 32_000 <= lost[0]["start_s"] < lost[-1]["end_s"] < 16.0


async def test_a_token_travels_as_a_subprotocol_and_never_in_the_address(browser: Browser) -> None:
    async with serving(FakeBackend()) as running, tab(browser) as page:
        await page.goto(f"http://{running.address}/")
        asked: list[dict[str, Any]] = []
        session = await page.context.new_cdp_session(page)
        await session.send("Network.enable")
        # not `asked.append` itself: Playwright sets an attribute on what it calls
        session.on("Network.webSocketWillSendHandshakeRequest", lambda event: asked.append(event))  # noqa: PLW0108
        addresses: list[str] = []
        page.on("websocket", lambda socket: addresses.append(socket.url))
        await page.evaluate(
            """async () => {
              const { connect } = await import('/web/cohear.js');
              const stream = await connect({ token: async () => 'secret-1' });
              await stream.stop();
            }"""
        )
        (request,) = asked
        assert request["request"]["headers"]["Sec-WebSocket-Protocol"] == f"{SUBPROTOCOL}, cohear.token.secret-1"
        assert addresses == [f"{running.url}/v1/stream"]


async def test_a_silent_client_stays(browser: Browser) -> None:
    async with serving(FakeBackend(), idle_timeout_s=3) as running, tab(browser) as page:
        await page.goto(f"http://{running.address}/")
        kept: asyncio.Queue[str] = asyncio.Queue()
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: kept.put_nowait(str(frame))))
        await page.evaluate("async () => { window.stream = await (await import('/web/cohear.js')).connect() }")
        for _ in range(6):  # as many as two idle timeouts take
            frame = await kept.get()
            if '"start"' not in frame:
                assert json.loads(frame) == {"type": "keepalive"}
        done = await page.evaluate("() => stream.stop()")
        assert done["segments"] == 0


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example", "wss://a.example/v1/stream"),
        ("http://a.example:1/deep/page.html?x=1#y", "ws://a.example:1/deep/v1/stream"),
        ("wss://a.example/v1/stream", "wss://a.example/v1/stream"),
    ],
)
async def test_addresses(browser: Browser, url: str, expected: str) -> None:
    async with serving(FakeBackend()) as running, tab(browser) as page:
        await page.goto(f"http://{running.address}/")
        script = "async (url) => (await import('/web/socket.js')).endpoint(url).href"
        assert await page.evaluate(script, url) == expected


async def test_finalize_is_answered_in_its_place(browser: Browser) -> None:
    audio = quiet(0.3) + burst(1.0)

    async def nothing(_: int) -> None:
        raise AssertionError("not called")

    async with serving(FakeBackend()) as running, page_at(browser, running.url, nothing) as page:
        answer = await speak(page, audio * 2, [], finalize=[len(audio) // 2 // (FRAME // 2) * (FRAME // 2)])
        assert len(finals(answer)) == 2
