"""The system's Chromium, driven by Playwright: tabs whose microphone plays a file. Console errors fail a test."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

pytest.importorskip("playwright", reason="no Playwright: pip install playwright")
import chromium
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

__all__ = ["Browser", "Page", "expect"]
"""taken from here by the tests, so that one place skips them where Playwright is missing"""

RATE_HZ = 16_000
PATIENCE_MS = 60_000
"""a test that fails waits no longer"""
expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True, slots=True)
class Setup:
    """What tab a test wants."""

    context: dict[str, Any] = field(default_factory=dict)
    """options of Playwright's context"""
    script: str = ""
    """run before the page's own"""
    console: tuple[str, ...] = ()
    """errors that are part of what is tested"""


@contextlib.asynccontextmanager
async def launched(wav: Path, *flags: str, ui: str = "") -> AsyncIterator[Browser]:
    """A browser whose microphone plays a file, from its start each time it is opened, and then silence.

    `ui` is how it answers when asked for the microphone: it allows, or `deny`."""
    path = chromium.executable() or pytest.skip("no Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*chromium.flags(wav, ui), *flags])
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def tab(browser: Browser, setup: Setup | None = None) -> AsyncIterator[Page]:
    """An empty tab of its own; on leaving, no error may have been written to its console."""
    setup = setup or Setup()
    errors: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(known in message.text for known in setup.console):
            errors.append(message.text)

    context = await browser.new_context(**setup.context)
    try:
        if setup.script:
            await context.add_init_script(setup.script)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", on_console)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
    finally:
        await context.close()
    assert not errors, errors


async def state(page: Page, *names: str) -> None:
    """Wait until the page is in one of these states."""
    await page.wait_for_selector(",".join(f"body[data-state={name}]" for name in names))


async def opened(page: Page, address: str) -> None:
    """The page, once it knows what the server offers."""
    await page.goto(f"http://{address}/")
    await state(page, "idle")


async def downloaded(page: Page, kind: str) -> str:
    """What the page's download of this format holds."""
    await page.click("#download-open")
    async with page.expect_download() as download:
        await page.click(f'#downloads [data-format="{kind}"]')
    file = await download.value
    assert re.fullmatch(rf"cohear \d{{4}}-\d\d-\d\d \d\d\.\d\d\.{kind}", file.suggested_filename)
    path = Path(await file.path())
    return await asyncio.to_thread(path.read_text, encoding="utf-8")


def write_wav(path: Path, *parts: NDArray[np.int16]) -> Path:
    """16-bit mono at 16 kHz."""
    sf.write(path, np.concatenate(parts), RATE_HZ)
    return path


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(int(seconds * RATE_HZ), np.int16)
