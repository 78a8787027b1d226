"""The system's Chromium with a microphone that plays a file, for what measures, shows or tests the page."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET_FLAGS = (
    "--no-sandbox",
    "--headless=new",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str | None:
    """The path of the browser, if this machine has one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def flags(wav: Path, ui: str = "") -> list[str]:
    """Flags for a browser whose microphone plays `wav` from its start each time it is opened, and then silence.

    `ui` is how the browser answers a page that asks for the microphone: it allows, or `deny`."""
    answer = "--use-fake-ui-for-media-stream" + (f"={ui}" if ui else "")
    sound = f"--use-file-for-fake-audio-capture={wav}%noloop"
    return [*QUIET_FLAGS, "--use-fake-device-for-media-stream", answer, sound]


@contextlib.contextmanager
def chromium(wav: Path) -> Iterator[Browser]:
    """A browser that lets pages use its microphone, which plays `wav`."""
    path = executable()
    if path is None:
        raise SystemExit("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags(wav))
        try:
            yield browser
        finally:
            browser.close()
