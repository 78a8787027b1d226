"""Takes the pictures of the pages for the documents: light, dark and phone. Needs Chromium.

    .venv/bin/python scripts/screenshots.py [--out docs/images] [--only page|dashboard]

It starts a server with the default model; the microphone plays a sample. The picture of the dashboard is taken after
two minutes with several streams.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))  # its modules import each other by name

from chromium import chromium  # noqa: E402
from cohear_client import AudioFile, CohearError, connect, paced  # noqa: E402
from process import running_server  # noqa: E402

SAMPLES = ("jfk", "32-21631-0008")
RATE_HZ = 16_000
SPEAKERS = 6
TALK_S = 130
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="folder (default: %(default)s)")
    parser.add_argument("--only", choices=("page", "dashboard"), help="pictures of one of them")
    args = parser.parse_args()
    out: Path = args.out
    if args.only != "dashboard":
        shoot_page(out)
    if args.only != "page":
        shoot_dashboard(out)
    return 0


def shoot_page(out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, running_server([]) as server:
        wav = Path(folder) / "speech.wav"
        pause = np.zeros(int(2.5 * RATE_HZ), np.int16)
        clips = [sf.read(ROOT / "audio_samples" / f"{name}.flac", dtype="int16")[0] for name in SAMPLES]
        sf.write(wav, np.concatenate([part for clip in clips for part in (clip, pause)]), RATE_HZ)
        with chromium(wav) as browser:
            for look, options in LOOKS.items():
                shoot(browser, server.url.replace("ws:", "http:"), out / f"page-{{}}-{look}.png", options)


def shoot_dashboard(out: Path) -> None:
    with running_server(["--max-streams", str(SPEAKERS)]) as server, chromium(ROOT / "none.wav") as browser:
        speaking = threading.Thread(target=lambda: asyncio.run(speak(server.url)), daemon=True)
        speaking.start()
        pages = {look: browser.new_page(**options) for look, options in LOOKS.items()}
        pages["light"].wait_for_timeout(1000 * TALK_S)
        for look, page in pages.items():
            page.goto(f"{server.url.replace('ws:', 'http:')}/dashboard")
            page.wait_for_selector("body[data-state=ready]")
            page.wait_for_function("() => document.getAnimations().length === 0")
            page.screenshot(path=out / f"dashboard-{look}.png")


async def speak(url: str) -> None:
    """Several streams, one after the other, while the pictures are taken; one more than the server has room for."""
    async with asyncio.TaskGroup() as group:
        for number in range(SPEAKERS):
            group.create_task(converse_at(url, number))
        await asyncio.sleep(0.6 * TALK_S)
        with contextlib.suppress(CohearError):
            async with connect(url):
                pass


async def converse_at(url: str, number: int) -> None:
    await asyncio.sleep(number * TALK_S / 2 / SPEAKERS)
    async with connect(url, language="en") as stream:

        async def listen() -> None:
            async for _ in stream:
                pass

        listening = asyncio.create_task(listen())
        for clip in itertools.cycle(SAMPLES[number % 2 :] + SAMPLES[: number % 2]):
            with AudioFile(ROOT / "audio_samples" / f"{clip}.flac") as file:
                said = itertools.chain(file.blocks(0.02), [np.zeros(320, np.int16)] * 60)
                async for block in paced(said, file.start()):
                    await stream.send(block)
        await listening


def shoot(browser: Browser, url: str, path: Path, options: dict[str, Any]) -> None:
    """One look of the page, before and while somebody speaks."""
    page = browser.new_page(**options)
    page.goto(url)
    page.wait_for_selector("body[data-state=idle]")
    page.screenshot(path=str(path).format("idle"))
    if options["viewport"]["width"] > 1000:
        page.click("#panel-open")
    page.click("#start")
    page.wait_for_selector(".paragraph:nth-child(2) .word:nth-child(4)")
    page.wait_for_selector("#transcript .word.volatile")
    page.wait_for_function("() => document.getAnimations().length === 0", polling=20)
    page.screenshot(path=str(path).format("streaming"))
    page.click("#start")
    page.wait_for_selector("body[data-state=idle]")
    page.close()


if __name__ == "__main__":
    sys.exit(main())
