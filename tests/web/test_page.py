"""The page in a real browser: what a user does, sees and gets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from cohear_client.protocol import Ready, Start, encode
from cohear_testing.fake import FakeBackend

from ..serving import Running, heard_until, quiet, serving
from .browser import Browser, Page, Setup, downloaded, expect, launched, opened, state, tab, write_wav
from .conftest import UTTERANCE

pytestmark = pytest.mark.asyncio(loop_scope="session")


AT_END = """() => {
  const { scrollHeight, scrollTop, clientHeight } = document.getElementById('scroller');
  return scrollHeight - scrollTop - clientHeight < 4;
}"""


@contextlib.asynccontextmanager
async def page_of(
    browser: Browser, setup: Setup | None = None, **settings: object
) -> AsyncIterator[tuple[Page, Running]]:
    """The page of a server with the fake engine."""
    async with serving(FakeBackend(), **settings) as running, tab(browser, setup) as page:
        await opened(page, running.address)
        yield page, running


async def as_fast_as_it_goes(page: Page) -> None:
    await page.click("#settings-open")
    await page.select_option("#speed", "0")
    await page.keyboard.press("Escape")


async def transcribe_file(page: Page, file: Path, finals: int) -> None:
    await as_fast_as_it_goes(page)
    await page.set_input_files("#file", file)
    await expect(page.locator('.segment[data-state="final"]')).to_have_count(finals)
    await state(page, "idle")


async def test_a_file_is_transcribed_copied_and_cleared(browser: Browser, clip: Path) -> None:
    async with page_of(browser, Setup(context={"permissions": ["clipboard-read", "clipboard-write"]})) as (page, _):
        await transcribe_file(page, clip, 2)
        texts = await page.locator(".segment").all_inner_texts()
        assert all(re.fullmatch(r"w\d+( w\d+)*", text.strip()) for text in texts)
        await expect(page.locator("#spoken")).to_contain_text(texts[1].strip())
        await page.click("#copy")
        await expect(page.locator("#copy-label")).to_have_text("Copied")
        copied = await page.evaluate("() => navigator.clipboard.readText()")
        assert copied.split("\n") == [text.strip() for text in texts]
        await page.click("#clear")
        await expect(page.locator(".segment")).to_have_count(0)
        await expect(page.locator("#empty")).to_be_visible()
        await expect(page.locator("#copy")).to_be_disabled()


async def test_times_go_on_from_one_recording_to_the_next(browser: Browser, clip: Path) -> None:
    async with page_of(browser) as (page, _):
        await transcribe_file(page, clip, 2)
        await transcribe_file(page, clip, 4)
        segments = json.loads(await downloaded(page, "json"))["segments"]
        starts = [segment["start"] for segment in segments]
        length_s = len(UTTERANCE * 2) / 2 / 16_000
        assert starts[2:] == pytest.approx([start + length_s for start in starts[:2]], abs=0.01)


async def test_a_dropped_file_is_transcribed(browser: Browser, clip: Path) -> None:
    async with page_of(browser) as (page, _):
        data = await page.evaluate_handle(
            """(bytes) => {
              const data = new DataTransfer();
              data.items.add(new File([new Uint8Array(bytes)], 'clip.wav', { type: 'audio/wav' }));
              return data;
            }""",
            [*memoryview(await asyncio.to_thread(clip.read_bytes))],
        )
        await as_fast_as_it_goes(page)
        await page.dispatch_event("body", "dragover", {"dataTransfer": data})
        await expect(page.locator("#drop")).to_be_visible()
        await page.dispatch_event("body", "drop", {"dataTransfer": data})
        await expect(page.locator("#drop")).to_be_hidden()
        await expect(page.locator('.segment[data-state="final"]')).to_have_count(2)


async def test_space_starts_and_stops_but_not_within_a_control(browser: Browser, tmp_path: Path) -> None:
    async with page_of(browser) as (page, running):
        await page.focus("#settings-open")
        await page.keyboard.press("Space")
        await expect(page.locator("#settings")).to_be_visible()
        await page.keyboard.press("Escape")
        assert not running.service.streams
        await page.focus("#scroller")
        await page.keyboard.press("Space")
        await expect(page.locator('.segment[data-state="final"]')).not_to_have_count(0)
        await expect(page.locator("#start-label")).to_have_text("Stop")
        await page.keyboard.press("Space")
        await state(page, "idle")
        await expect(page.locator('.segment[data-state="partial"]')).to_have_count(0)


async def test_the_scroll_follows_until_the_reader_goes_elsewhere(browser: Browser, tmp_path: Path) -> None:
    long = write_wav(tmp_path / "long.wav", np.frombuffer((quiet(2.0) + UTTERANCE) * 12, np.int16))
    async with page_of(browser, Setup(context={"viewport": {"width": 390, "height": 420}})) as (page, _):
        await transcribe_file(page, long, 12)
        await page.wait_for_function(AT_END)
        await page.evaluate("() => document.getElementById('scroller').scrollTo(0, 0)")
        await transcribe_file(page, long, 24)
        await expect(page.locator("#to-newest")).to_be_visible()
        assert await page.evaluate("() => document.getElementById('scroller').scrollTop") == 0
        await page.click("#to-newest")
        await expect(page.locator("#to-newest")).to_be_hidden()
        await page.wait_for_function(AT_END)


async def test_a_browser_that_cannot_capture_at_16_khz_resamples(browser: Browser, tmp_path: Path) -> None:
    script = """
      const Native = AudioContext;
      globalThis.AudioContext = class extends Native {
        constructor(options) {
          if (options.sampleRate) throw new DOMException('not here', 'NotSupportedError');
          super(options);
        }
      };"""
    async with page_of(browser, Setup(script=script)) as (page, running):
        await page.click("#start")
        await expect(page.locator('.segment[data-state="final"]')).not_to_have_count(0)
        (stream,) = running.service.streams.values()
        assert stream.session.format.sample_rate_hz == 16_000
        await page.click("#start")
        await state(page, "idle")


def failing(name: str) -> str:
    """A browser whose microphone fails in a way of its own."""
    return f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{name}'); }};"


async def test_a_microphone_that_is_denied(clip: Path) -> None:
    async with launched(clip, ui="deny") as browser, page_of(browser) as (page, running):
        await refused(page, running, "may not use the microphone: allow it")


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        (Setup(script=failing("NotFoundError")), "No microphone was found: plug one in"),
        (Setup(script=failing("OverconstrainedError")), "No microphone was found: plug one in"),
        (Setup(script=failing("NotReadableError")), "close the program that uses it"),
    ],
    ids=["none", "chosen one gone", "busy"],
)
async def test_a_microphone_that_cannot_be_had(browser: Browser, setup: Setup, words: str) -> None:
    async with page_of(browser, setup) as (page, running):
        await refused(page, running, words)


async def refused(page: Page, running: Running, words: str) -> None:
    await page.click("#start")
    await expect(page.locator("#notice-text")).to_contain_text(words)
    await expect(page.locator("#start-label")).to_have_text("Start")
    assert not running.service.streams
    await page.click("#notice-close")
    await expect(page.locator("#notice")).to_be_hidden()


async def test_a_page_without_https_says_why_there_is_no_microphone(browser: Browser) -> None:
    setup, host = Setup(console=("Cross-Origin-Opener-Policy", "navigator.mediaDevices")), "cohear.example"
    async with serving(FakeBackend(), allowed_hosts=host) as running, tab(browser, setup) as page:
        await opened(page, running.address.replace("127.0.0.1", host))
        await page.click("#start")
        await expect(page.locator("#notice-text")).to_contain_text("open this one by https")


async def test_a_full_server_says_when_to_come_back(browser: Browser) -> None:
    async with page_of(browser, max_streams=1) as (page, running), running.socket() as other:
        await other.send(encode(Start()))
        await heard_until(other, Ready)
        await page.click("#start")
        await expect(page.locator("#notice-text")).to_have_text("The server is full: try again in 5 s.")
        await expect(page.locator("#state")).to_have_text("Stopped")


async def test_a_server_that_is_gone(browser: Browser) -> None:
    async with tab(browser, Setup(console=("WebSocket connection", "net::ERR_"))) as page:
        async with serving(FakeBackend(), resume_window_s=0) as running:
            await opened(page, running.address)
            await page.click("#start")
            await state(page, "live")
            for stream in list(running.service.streams.values()):
                stream.outbox.close()  # the connection ends without a word
            await expect(page.locator("#notice-text")).to_contain_text("The server is gone: start it again")
        await page.click("#start")
        await expect(page.locator("#notice-text")).to_contain_text("start it with “cohear serve”")


async def test_a_file_that_is_no_audio(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a sound")
    async with page_of(browser) as (page, _):
        await page.set_input_files("#file", file)
        await expect(page.locator("#notice-text")).to_contain_text("cannot read the file: convert it")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_no_serious_problem(browser: Browser, clip: Path, scheme: str) -> None:
    context = {"color_scheme": scheme, "reduced_motion": "reduce"}
    async with page_of(browser, Setup(context=context)) as (page, _):
        await accessible(page)
        await transcribe_file(page, clip, 2)
        await page.click("#panel-open")
        await accessible(page)
        for opener in ("#settings-open", "#download-open"):
            await page.click(opener)
            await accessible(page)
            await page.keyboard.press("Escape")


async def accessible(page: Page) -> None:
    axe = pytest.importorskip("axe_playwright_python.async_playwright", reason="pip install axe-playwright-python")
    results = await axe.Axe().run(page)
    serious = [v for v in results.response["violations"] if v["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)[:3000]
