"""The page and the dashboard of a server with keys."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cohear_server.access.keys import add_key, revoke_key
from cohear_testing.fake import FakeBackend

from ..serving import Running, serving
from .browser import Browser, Page, Setup, expect, state, tab
from .test_page import accessible, as_fast_as_it_goes

pytestmark = pytest.mark.asyncio(loop_scope="session")

REFUSED = Setup(console=("401 (Unauthorized)",))
FORBIDDEN = Setup(console=("401 (Unauthorized)", "403 (Forbidden)"))


@contextlib.asynccontextmanager
async def locked(
    browser: Browser, folder: Path, path: str = "/", setup: Setup = REFUSED
) -> AsyncIterator[tuple[Page, Running, str]]:
    """A page of a server with one key, as it is opened first: it asks."""
    key = add_key(folder / "keys.toml", "alice", ["stream", "operate"])
    async with serving(FakeBackend(), keys=str(folder / "keys.toml")) as running, tab(browser, setup) as page:
        await page.goto(f"http://{running.address}{path}")
        await expect(page.get_by_role("dialog", name="This server asks for a key")).to_be_visible()
        yield page, running, key


async def enter(page: Page, key: str) -> None:
    await page.get_by_label("Key", exact=True).fill(key)
    await page.keyboard.press("Enter")


async def test_the_page_asks_once_and_streams_with_a_token(browser: Browser, clip: Path, tmp_path: Path) -> None:
    async with locked(browser, tmp_path) as (page, _, key):
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        await expect(page.get_by_label("Key", exact=True)).to_be_focused()
        assert await page.get_by_label("Key", exact=True).get_attribute("type") == "password"
        await enter(page, key)
        await state(page, "idle")
        await as_fast_as_it_goes(page)
        await page.set_input_files("#file", clip)
        await expect(page.locator('.segment[data-state="final"]')).to_have_count(2)
        assert sockets
        assert not any("?" in url or key in url for url in sockets)
        await page.reload()
        await state(page, "idle")
        await expect(page.get_by_role("dialog", name="This server asks for a key")).to_have_count(0)
        assert key not in await page.evaluate("() => JSON.stringify(localStorage)")


async def test_a_wrong_key_is_said_with_what_to_do(browser: Browser, tmp_path: Path) -> None:
    async with locked(browser, tmp_path) as (page, _, key):
        for wrong in ("cohear_wrong", "two words", "schlüssel ✓"):
            await enter(page, wrong)
            await expect(page.get_by_role("alert")).to_contain_text("does not know this key")
            await expect(page.get_by_label("Key", exact=True)).to_have_value("")
        await expect(page.get_by_role("alert")).to_contain_text("ask for another one")
        await enter(page, key)
        await state(page, "idle")


async def test_a_revoked_key_is_asked_for_again(browser: Browser, tmp_path: Path) -> None:
    async with locked(browser, tmp_path) as (page, _, key):
        await enter(page, key)
        await state(page, "idle")
        await page.click("#start")
        await state(page, "live")
        revoke_key(tmp_path / "keys.toml", "alice")
        await expect(page.locator("#notice-text")).to_contain_text("was revoked: ask the operator")
        await state(page, "failed")
        second = add_key(tmp_path / "keys.toml", "alice")
        await page.click("#start")
        await expect(page.get_by_role("alert")).to_contain_text("revoked")
        await enter(page, second)
        await state(page, "live")
        await page.click("#start")
        await state(page, "idle")


async def test_who_closes_the_dialog_is_told_how_to_come_back(browser: Browser, tmp_path: Path) -> None:
    async with locked(browser, tmp_path) as (page, _, key):
        await page.keyboard.press("Escape")
        await expect(page.locator("#notice-text")).to_have_text(
            "This server asks for a key: reload the page to enter one."
        )
        await page.reload()
        await enter(page, key)
        await state(page, "idle")


async def test_the_dashboard_asks_too(browser: Browser, tmp_path: Path) -> None:
    async with locked(browser, tmp_path, "/dashboard") as (page, _, key):
        await enter(page, key)
        await state(page, "ready")
        await expect(page.locator("#streams")).to_have_text("0")
        await page.click("text=Transcribe")
        await state(page, "idle")


async def test_a_key_that_only_streams_opens_no_dashboard(browser: Browser, tmp_path: Path) -> None:
    async with locked(browser, tmp_path, "/dashboard", FORBIDDEN) as (page, _, key):
        await enter(page, add_key(tmp_path / "keys.toml", "bob"))
        await expect(page.get_by_role("alert")).to_contain_text("not good for this")
        await enter(page, key)
        await state(page, "ready")


async def test_a_locked_dashboard_says_so(browser: Browser, tmp_path: Path) -> None:
    async with locked(browser, tmp_path, "/dashboard") as (page, _, _key):
        await page.keyboard.press("Escape")
        await state(page, "locked")
        await expect(page.locator("#state")).to_contain_text("reload the page to enter one")


async def test_axe_finds_nothing_in_the_dialog(browser: Browser, tmp_path: Path) -> None:
    async with locked(browser, tmp_path) as (page, _, _key):
        await page.wait_for_function("() => document.getAnimations().length === 0")
        await accessible(page)
        await enter(page, "cohear_wrong")
        await expect(page.get_by_role("alert")).to_be_visible()
        await page.wait_for_function("() => document.getAnimations().length === 0")
        await accessible(page)
