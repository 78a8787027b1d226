"""The page that shows what is asked over HTTP, in a real browser."""

from __future__ import annotations

import pytest
from cohear_testing.fake import FakeBackend

from ..serving import serving
from .browser import Browser, Setup, expect, tab
from .test_page import accessible

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
async def test_it_shows_every_request_and_can_be_read_by_all(browser: Browser, scheme: str, width: int) -> None:
    setup = Setup(context={"color_scheme": scheme, "viewport": {"width": width, "height": 844}})
    async with serving(FakeBackend()) as running, tab(browser, setup) as page:
        await page.goto(f"http://{running.address}/docs")
        await expect(page.get_by_role("heading", name="POST /v1/audio/transcriptions")).to_be_visible()
        await expect(page.get_by_role("row", name="response_format").first).to_contain_text("verbose_json")
        await accessible(page)
        assert await page.evaluate("() => document.querySelector('main').scrollWidth <= innerWidth")
