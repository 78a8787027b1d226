"""What the browser page costs: work of its main thread while it streams, and how long sound waits until it is sent.

    python bench/page.py --speech audio_samples [--seconds 20] [--out bench/results/page.json]

A headless Chromium opens the page of a server that this script starts. Its microphone plays clips without pauses, so
that words come all the time. Definitions:

    main thread      Chromium's TaskDuration of the page over wall time, in percent: scripts, style, layout, painting.
                     Scripts and layout are also shown alone. `busy` is wall time, `cpu` is CPU time
    capture to send  from a frame's first sample on the audio thread until the socket has taken the frame, the frame's
                     own 32 ms included; p95 over the last 12 s
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from chromium import chromium
from numpy.typing import NDArray
from playwright.sync_api import Browser, CDPSession, Page
from process import running_server
from speech import circumstances, read_clips, write_result

RATE_HZ = 16_000
SETTLE_S = 3.0
METRICS = {
    "TaskDuration": "all",
    "ScriptDuration": "scripts",
    "LayoutDuration": "layout",
    "RecalcStyleDuration": "style",
}


class Meter:
    """Work of a page's main thread since the meter was made."""

    def __init__(self, page: Page, domain: str) -> None:
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": domain})
        self._begun = self._read()

    def percent(self) -> dict[str, float]:
        """Share of the time since the meter was made, in percent."""
        now = self._read()
        passed_s = now["Timestamp"] - self._begun["Timestamp"]
        return {told: round(100 * (now[name] - self._begun[name]) / passed_s, 2) for name, told in METRICS.items()}

    def _read(self) -> dict[str, float]:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        read = {metric["name"]: float(metric["value"]) for metric in metrics}
        return read | {"Timestamp": time.monotonic()}


def measure(browser: Browser, address: str, seconds: float, *, panel: bool) -> dict[str, Any]:
    """One stream of so many seconds, with the latency panel open or not."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"http://{address}/")
    page.wait_for_selector("body[data-state=idle]")
    if panel:
        page.click("#panel-open")
    page.click("#start")
    page.wait_for_selector(".segment")
    page.wait_for_timeout(1000 * SETTLE_S)
    meters = {"busy": Meter(page, "timeTicks"), "cpu": Meter(page, "threadTicks")}
    page.wait_for_timeout(1000 * seconds)
    work = {name: meter.percent() for name, meter in meters.items()}
    if not panel:
        page.click("#panel-open")
    page.wait_for_selector("#figure-send[data-ms]:not([data-ms=''])")
    send_ms = float(page.get_attribute("#figure-send", "data-ms") or "nan")
    words = page.locator(".word").count()
    page.click("#start")
    page.wait_for_selector("body[data-state=idle]")
    page.close()
    return {"main_thread_percent": work, "capture_to_send_p95_ms": send_ms, "words_shown": words}


def write_speech(folder: Path, seconds: float, wav: Path) -> None:
    """English clips without pauses, as a WAV file of this length."""
    parts: list[NDArray[np.int16]] = []
    length = 0
    clips = [clip for clip in read_clips(folder) if clip.reference and clip.lang.startswith("en")]
    while length < seconds * RATE_HZ:
        clip = clips[len(parts) % len(clips)].pcm()
        parts.append(clip)
        length += len(clip)
    sf.write(wav, np.concatenate(parts), RATE_HZ)


def main() -> int:
    args = parse()
    with tempfile.TemporaryDirectory() as folder, running_server([]) as server:
        wav = Path(folder) / "speech.wav"
        write_speech(args.speech, args.seconds + SETTLE_S + 15, wav)
        address = server.url.removeprefix("ws://")
        with chromium(wav) as browser:
            version = browser.version
            runs = {
                name: measure(browser, address, args.seconds, panel=name == "panel_open")
                for name in ("panel_closed", "panel_open")
            }
    known = circumstances()
    known["versions"] |= {"chromium": version, "playwright": metadata.version("playwright")}
    result = {"benchmark": "page", **known, "settings": {"seconds": args.seconds, "frame_ms": 32}, **runs}
    for name, run in runs.items():
        work = run["main_thread_percent"]
        print(
            f"{name:13} main thread {work['busy']['all']:.1f} % (CPU {work['cpu']['all']:.1f} %), "
            f"capture to send p95 {run['capture_to_send_p95_ms']:.0f} ms"
        )
    write_result(args.out, result)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--speech", type=Path, required=True, help="folder with manifest.jsonl")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("bench/results/page.json"), help="result file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
