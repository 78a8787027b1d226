"""Real speech, the real tiny.en and a real browser: from a microphone to files, and across a server that dies."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jiwer
import pytest
from cohear_cli.outputs import as_json, txt
from cohear_client.protocol import Final, Timing, Word
from cohear_client.subtitles import srt, vtt
from cohear_client.transcript import Transcript
from whisper_normalizer.english import EnglishTextNormalizer

from ..samples import load_samples
from .browser import RATE_HZ, Page, Setup, downloaded, expect, launched, opened, silence, state, tab, write_wav

pytestmark = pytest.mark.model

COHEAR = str(Path(sys.executable).parent / "cohear")
CLIPS = {sample.path.stem: sample for sample in load_samples(speech=True)}
SHORT, LONG = CLIPS["LJ001-0004"], CLIPS["jfk"]
LONG_S = 8.0
"""so much of the long one is played: its first two sentences"""
NORMALISE = EnglishTextNormalizer()
MAX_ERROR = 0.15
"""tiny.en mishears up to two words of each clip's 14, after the way through a browser's gain control"""


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
        return free


@contextlib.contextmanager
def server(model: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """`cohear serve`, ready."""
    command = [COHEAR, "serve", "--port", str(port), "--model", str(model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        try:
            yield process
        finally:
            process.terminate()


def word_error(reference: str, said: str) -> float:
    return float(jiwer.wer(NORMALISE(reference), NORMALISE(said)))


async def said(page: Page) -> str:
    """All text on the page, final or not."""
    return " ".join(await page.locator(".segment").all_inner_texts())


def transcript_of(whole: dict[str, Any]) -> Transcript:
    """The transcript that a json download tells of."""
    segments = []
    for row in whole["segments"]:
        words = tuple(Word(w["word"].strip(), w["start"], w["end"], w["probability"]) for w in row["words"])
        text, times = row["text"].strip(), (row["start"], row["end"])
        segments.append(Final(0, 0, text, row["confidence"], "en", *times, "stop", "", Timing(), words))
    return Transcript(tuple(segments))


async def test_speech_becomes_text_and_files(tiny_en_dir: Path, port: int, tmp_path: Path) -> None:
    wav = write_wav(tmp_path / "mic.wav", silence(0.5), SHORT.pcm16k(), silence(30))
    with server(tiny_en_dir, port):
        async with launched(wav) as browser, tab(browser) as page:
            await opened(page, f"127.0.0.1:{port}")
            await page.click("#start")
            await page.wait_for_selector('.segment[data-state="partial"]')
            assert await page.locator('.segment[data-state="final"]').count() == 0, "partials come before finals"
            await expect(page.locator("#transcript")).to_contain_text("printed book", timeout=20_000)
            await page.click("#start")
            await state(page, "idle")
            assert word_error(SHORT.text, await said(page)) <= MAX_ERROR
            await expect(page.locator(".word").first).to_have_attribute("data-tip", re.compile(r"0:0\d\.\d · \d+ %"))

            whole = json.loads(await downloaded(page, "json"))
            transcript = transcript_of(whole)
            assert word_error(SHORT.text, transcript.text) <= MAX_ERROR
            assert whole == json.loads(as_json(transcript))
            # the page and the command line write the same files
            assert await downloaded(page, "txt") == txt(transcript)
            assert await downloaded(page, "srt") == srt(transcript)
            assert await downloaded(page, "vtt") == vtt(transcript)


async def test_a_killed_and_restarted_server_loses_no_words(tiny_en_dir: Path, port: int, tmp_path: Path) -> None:
    wav = write_wav(tmp_path / "mic.wav", silence(0.5), LONG.pcm16k()[: int(LONG_S * RATE_HZ)], silence(30))
    begun, _, _ = LONG.text.rpartition(", ask what")
    setup = Setup(console=("WebSocket connection",))
    async with launched(wav) as browser, tab(browser, setup) as page:
        with server(tiny_en_dir, port) as first:
            await opened(page, f"127.0.0.1:{port}")
            await page.click("#start")
            # "what your country can do for you" is being spoken
            await page.wait_for_selector('#elapsed:text-is("0:07")')
            assert "for you" not in await said(page), "words are still to come"
            first.kill()
            await state(page, "reconnecting")
            await expect(page.locator("#state")).to_have_text("Reconnecting: what you say is kept for a minute")
        with server(tiny_en_dir, port):
            await state(page, "live")
            await expect(page.locator("#transcript")).to_contain_text("do for you", timeout=20_000)
            await page.click("#start")
            await state(page, "idle")
            assert word_error(begun, await said(page)) <= MAX_ERROR
            await expect(page.locator("#dropped")).to_be_hidden()
            starts = [s["start"] for s in json.loads(await downloaded(page, "json"))["segments"]]
            assert starts == sorted(starts)
            assert starts[-1] > 4, "times go on as if nothing had happened"
