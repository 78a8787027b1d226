"""The system's Chromium with a microphone that plays a file, for what measures or shows the page."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--headless=new",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@contextlib.contextmanager
def chromium(wav: Path) -> Iterator[Browser]:
    """A browser that lets pages use its microphone, which plays `wav` from its start each time it is opened."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise SystemExit("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        sound = f"--use-file-for-fake-audio-capture={wav}%noloop"
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, sound])
        try:
            yield browser
        finally:
            browser.close()
