"""The dashboard in a real browser, of servers whose figures are known."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cohear_client import protocol
from cohear_client.protocol import Error, Finalized, Ready, Start, encode
from cohear_server.engine.cache import Cache
from cohear_server.engine.cached import CachedBackend
from cohear_server.engine.results import Results
from cohear_server.scheduling.ladder import Rung
from cohear_testing.fake import FakeBackend

from ..serving import Running, heard_until, serving
from .browser import Browser, Page, Setup, expect, state, tab
from .conftest import UTTERANCE
from .test_page import accessible

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEP_S = 0.2
LOOKED_BACK_S = 30
"""longer than a browser takes to open the page on a busy machine: what was counted before is still shown then"""


@pytest.fixture(autouse=True)
def quick_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cohear_server.ops.history.STEP_S", STEP_S)
    monkeypatch.setattr("cohear_server.ops.history.LOOK_S", STEP_S / 2)
    monkeypatch.setattr("cohear_server.ops.history.MINUTE_STEPS", round(LOOKED_BACK_S / STEP_S))
    monkeypatch.setattr("cohear_server.ops.status.STEP_S", STEP_S)


@contextlib.asynccontextmanager
async def board(browser: Browser, setup: Setup | None = None) -> AsyncIterator[tuple[Page, Running]]:
    """The dashboard of a server with one stream, which spoke, and one that was refused."""
    backend = FakeBackend()
    async with serving(backend, max_streams=1) as running, running.socket() as ws, tab(browser, setup) as page:
        await ws.send(encode(Start()))
        await heard_until(ws, Ready)
        for i in range(0, len(UTTERANCE), 3_200):
            await ws.send(UTTERANCE[i : i + 3_200])
        await ws.send(encode(protocol.Finalize("here")))
        await heard_until(ws, Finalized)
        async with running.socket() as second:
            await second.send(encode(Start()))
            await heard_until(second, Error)
        await page.goto(f"http://{running.address}/dashboard")
        await state(page, "ready")
        yield page, running


async def test_it_shows_what_the_server_counted(browser: Browser) -> None:
    async with board(browser) as (page, _):
        await expect(page.locator("#streams")).to_have_text("1")
        await expect(page.locator("#streams-aside")).to_have_text("of 1")
        await expect(page.locator("#final")).to_have_text(re.compile(r"^[\d.]+ m?s$"))
        await expect(page.locator("#batch")).to_have_text("1")
        await expect(page.locator("#refused")).to_have_text("1")
        await expect(page.locator("#errors tr")).to_have_count(1)
        await expect(page.locator("#errors")).to_contain_text("overloaded")
        await expect(page.locator("#models")).to_contain_text("fake")
        await expect(page.locator("#cache-tile")).to_be_hidden()
        await expect(
            page.get_by_role("img", name=re.compile(r"^Streams over 2 minutes. At once: last 1,"))
        ).to_be_visible()


async def test_it_shows_how_much_was_known(browser: Browser, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.hits, cache.misses = 3, 1
    async with serving(CachedBackend(FakeBackend(), Results(cache, "fake"))) as running, tab(browser) as page:
        await page.goto(f"http://{running.address}/dashboard")
        await state(page, "ready")
        await expect(page.locator("#cache-tile")).to_be_visible()
        await expect(page.locator("#cache")).to_have_text("75 %")
        await expect(page.locator("#cache-aside")).to_have_text("3 of 4")


async def test_figures_change_while_one_looks(browser: Browser) -> None:
    async with board(browser) as (page, running):
        await expect(page.locator("#streams")).to_have_text("1")
        for stream in list(running.service.streams.values()):
            stream.stop()
        await expect(page.locator("#streams")).to_have_text("0")
        await expect(page.locator("#received")).to_have_text(f"{len(UTTERANCE) / 32_000:.1f} s".replace(".0 ", " "))


@pytest.mark.parametrize(
    ("rung", "missed"),
    [
        (Rung.SLOWER, "partials come half as often"),
        (Rung.SMALLER, "partials come half as often, from a smaller model"),
        (Rung.NO_PARTIALS, "only finals come"),
    ],
)
async def test_a_server_at_its_limit_says_what_its_clients_miss(browser: Browser, rung: Rung, missed: str) -> None:
    async with board(browser) as (page, running):
        running.service.engine.capacity.step = lambda now_s: rung  # type: ignore[method-assign]
        running.service.engine.capacity.rung = rung
        await state(page, "hushed")
        await expect(page.locator("#state")).to_have_text(f"At its limit: {missed}")


async def test_a_point_in_time_can_be_pointed_at(browser: Browser) -> None:
    async with board(browser) as (page, _):
        await expect(page.get_by_role("img", name=re.compile("^Streams over.*from"))).to_be_visible()
        canvas = page.locator(".card canvas").nth(3)
        box = await canvas.bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] - 6, box["y"] + 40)
        await expect(page.locator(".card").nth(3).locator("b").first).to_have_text("1")


async def test_a_server_that_is_gone_is_said_and_its_figures_stay(browser: Browser) -> None:
    async with tab(browser, Setup(console=("net::ERR_",))) as page:
        async with serving(FakeBackend()) as running:
            await page.goto(f"http://{running.address}/dashboard")
            await state(page, "ready")
        await state(page, "failed")
        await expect(page.locator("#state")).to_contain_text("does not answer")
        await expect(page.locator("#streams")).to_have_text("0")


async def test_a_server_that_has_no_model_yet(browser: Browser) -> None:
    async with serving(FakeBackend()) as running, tab(browser) as page:
        running.service.ready = False
        await page.goto(f"http://{running.address}/dashboard")
        await state(page, "warming")
        running.service.ready = True
        await state(page, "ready")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_axe_finds_nothing_and_nothing_is_cut_off(browser: Browser, scheme: str, width: int) -> None:
    viewport = {"width": width, "height": 844}
    setup = Setup(context={"color_scheme": scheme, "viewport": viewport, "reduced_motion": "reduce"})
    async with board(browser, setup) as (page, _):
        await expect(page.locator("#errors tr")).to_have_count(1)
        await accessible(page)
        assert await page.evaluate("() => document.querySelector('main').scrollWidth <= innerWidth")


async def test_the_page_leads_to_it_and_back(browser: Browser) -> None:
    async with serving(FakeBackend()) as running, tab(browser) as page:
        await page.goto(f"http://{running.address}/")
        await page.click("#settings-open")
        await page.click("text=How the server fares")
        await state(page, "ready")
        await page.click("text=Transcribe")
        await state(page, "idle")


async def test_scales_are_round(browser: Browser) -> None:
    async with serving(FakeBackend()) as running, tab(browser) as page:
        await page.goto(f"http://{running.address}/dashboard")
        script = """async (values) => {
          const { roundUp } = await import('/web/timeseries.js');
          return values.map(roundUp);
        }"""
        assert await page.evaluate(script, [0, 0.03, 1, 3, 47, 100, 651]) == [1, 0.04, 1, 4, 50, 100, 800]
