"""The load generator against a real socket with a fake engine, and the speakers that it sends."""

from __future__ import annotations

import asyncio
import os

import numpy as np
import pytest
from cohear_testing.fake import FakeBackend, FakeOptions, ServiceTime
from livestream import binary_frame, text_frame
from load import LoadOptions, measure
from process import usage
from voice import Spoken, Voice, find_spurts, read_spoken

from ..samples import FOLDER
from ..serving import serving

TWO = LoadOptions(
    "", FOLDER, 2, steady_s=6.0, ramp_s=1.0, settle_s=1.0, drain_s=5.0, clips=4, server_pid=os.getpid(), processes=2
)


def load(url: str, **changes: object) -> LoadOptions:
    return LoadOptions(**{**{name: getattr(TWO, name) for name in LoadOptions.__slots__}, "url": url, **changes})


@pytest.mark.slow
async def test_two_streams_are_measured() -> None:
    backend = FakeBackend(FakeOptions(service=ServiceTime(fixed_ms=20.0)))
    async with serving(backend) as running:
        report = await asyncio.to_thread(measure, load(running.url))
    assert report["outcomes"] == {"done": 2}
    assert report["refused"] == report["unfinished"] == report["samples"]["shed"] == 0
    # both streams end at one time; the second began half a second later
    assert report["samples"]["received"] == pytest.approx(16_000 * (8 + 7.5), rel=0.05)
    assert report["steady_audio_s"] == pytest.approx(12, abs=0.3)
    ms = report["ms"]
    assert 3 < ms["partial_interval"]["count"] < 30
    assert 300 < ms["partial_interval"]["p50"] < 700
    assert 20 < ms["partial_age"]["p50"] < 300
    assert ms["first_partial"]["count"] > 0
    assert ms["cursor_lag"]["p95"] < 1_500
    assert report["word_error"] is None or report["word_error"]["words"] > 0
    assert report["server"]["cores"] > 0
    assert report["server"]["rss_mb"] > 10


@pytest.mark.slow
async def test_refused_streams_are_counted() -> None:
    async with serving(FakeBackend(), max_streams=1) as running:
        options = load(running.url, steady_s=1.0, settle_s=0.5, processes=1, server_pid=None)
        report = await asyncio.to_thread(measure, options)
    assert report["outcomes"] == {"done": 1, "refused: overloaded": 1}
    assert report["refused"] == 1
    assert "server" not in report


def tone(seconds: float, level: float = 8_000) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return (level * np.sin(np.arange(int(16_000 * seconds)))).astype(np.int16)


class TestVoice:
    def test_spurts_join_over_short_gaps_and_leave_clicks_out(self) -> None:
        parts = [tone(1), tone(0.1, 0), tone(1), tone(0.5, 0), tone(0.1), tone(0.5, 0), tone(0.4)]
        assert find_spurts(np.concatenate(parts)) == [pytest.approx((0, 2.1)), pytest.approx((3.2, 3.6))]

    def test_nothing_has_no_spurts(self) -> None:
        assert find_spurts(np.zeros(0, np.int16)) == []
        assert find_spurts(np.zeros(16_000, np.int16)) == []

    def test_back_to_back(self) -> None:
        voice = Voice([Spoken(tone(2), "a", "en", ((0.0, 2.0),))], None, seed=1)
        assert len(voice.read(16_000 * 5)) == 2 * 16_000 * 5
        assert voice.spurts == [(0.0, 2.0), (2.0, 4.0), (4.0, 6.0)]
        assert [end_s for _, end_s in voice.said] == [2.0, 4.0, 6.0]

    def test_a_conversation_has_its_share_of_speech(self) -> None:
        voice = Voice([Spoken(tone(2), "a", "en", ((0.0, 2.0),))], 0.4, seed=1)
        voice.read(16_000 * 600)
        assert 2 * len(voice.said) / 600 == pytest.approx(0.4, abs=0.03)

    def test_a_seed_says_the_same_again(self) -> None:
        clips = read_spoken(FOLDER, 4, "en")
        first, again, other = (Voice(clips, 0.4, seed).read(320_000) for seed in (1, 1, 2))
        assert first == again != other


def test_frames_are_masked_with_zeros() -> None:
    assert text_frame("hi") == b"\x81\x82\x00\x00\x00\x00hi"
    assert binary_frame(bytes(640))[:8] == b"\x82\xfe\x02\x80\x00\x00\x00\x00"


def test_usage_of_a_process() -> None:
    used = usage(os.getpid())
    assert 0 < used.loop_cpu_s <= used.cpu_s <= used.machine_cpu_s + 1
    with pytest.raises(OSError, match="No such file"):
        usage(2**22 + 1)
