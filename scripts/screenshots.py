"""Pictures of the page for the documents: idle and streaming; light, dark and phone. Needs Chromium.

    .venv/bin/python scripts/screenshots.py [--out docs/images]

It starts a server of its own with the default model; the microphone plays a sample.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))  # its modules import each other by name

from chromium import chromium  # noqa: E402
from process import running_server  # noqa: E402

SAMPLES = ("jfk", "32-21631-0008")
RATE_HZ = 16_000
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
    out: Path = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder, running_server([]) as server:
        wav = Path(folder) / "speech.wav"
        pause = np.zeros(int(2.5 * RATE_HZ), np.int16)
        clips = [sf.read(ROOT / "audio_samples" / f"{name}.flac", dtype="int16")[0] for name in SAMPLES]
        sf.write(wav, np.concatenate([part for clip in clips for part in (clip, pause)]), RATE_HZ)
        with chromium(wav) as browser:
            for look, options in LOOKS.items():
                shoot(browser, server.url.replace("ws:", "http:"), out / f"page-{{}}-{look}.png", options)
    return 0


def shoot(browser: Browser, url: str, path: Path, options: dict[str, Any]) -> None:
    """One look, before and while somebody speaks; the words of the second sample's middle are on their way."""
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
