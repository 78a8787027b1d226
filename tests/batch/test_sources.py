from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from cohear_server.batch.sources import Source, content_hash
from cohear_server.core.jobs import Pcm
from cohear_server.errors import ClientError

from .audio import bursts, write, write_video

SPEECH = bursts([1.0, 0.5, 2.0])


def read(path: Path) -> Pcm:
    with Source(path) as source:
        blocks = list(source.blocks())
    return np.concatenate(blocks)


def refused(path: Path) -> str:
    with pytest.raises(ClientError) as fault, Source(path) as source:
        list(source.blocks())
    return str(fault.value)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 96_000, 192_000])
def test_any_rate_comes_out_at_16_khz_and_whole(tmp_path: Path, rate_hz: int) -> None:
    file = write(tmp_path / "a.wav", bursts([1.0, 0.5, 2.0], rate_hz), rate_hz)
    pcm = read(file)
    assert pcm.dtype == np.int16
    assert len(pcm) == pytest.approx(len(SPEECH), abs=160)
    energy = np.abs(pcm[: len(SPEECH)].astype(float)).mean()
    assert energy == pytest.approx(np.abs(SPEECH.astype(float)).mean(), rel=0.05)


def test_channels_are_averaged(tmp_path: Path) -> None:
    file = write(tmp_path / "a.flac", np.repeat(SPEECH[:, None], 8, axis=1))
    assert np.abs(read(file).astype(int) - SPEECH).max() <= 1


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_the_sound_of_a_film(tmp_path: Path, name: str) -> None:
    file = write_video(tmp_path / name, SPEECH)
    with Source(file) as source:
        assert source.duration_s == pytest.approx(len(SPEECH) / 16_000, abs=0.3)
    assert len(read(file)) == pytest.approx(len(SPEECH), abs=3_000)


def test_a_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    os.rename(write(tmp_path / "a.flac", SPEECH), tmp_path / "a.mp3")
    os.rename(write_video(tmp_path / "b.mp4", SPEECH), tmp_path / "b.wav")
    assert len(read(tmp_path / "a.mp3")) == len(SPEECH)
    assert len(read(tmp_path / "b.wav")) > len(SPEECH) * 0.95


def test_hostile_files_are_told_apart_in_one_line_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is no audio\n")
    (tmp_path / "noise.mp3").write_bytes(bytes(range(256)) * 40)
    os.symlink("loop.wav", tmp_path / "loop.wav")
    whole = bytearray(write(tmp_path / "zero.wav", SPEECH).read_bytes())
    whole[22:24] = b"\0\0"  # no channels
    (tmp_path / "zero.wav").write_bytes(whole)
    write(tmp_path / "nothing.wav", SPEECH[:0])
    write_video(tmp_path / "silent.mp4", SPEECH, audio=False)
    cases = {
        "empty.wav": "is empty (0 bytes): copy it again",
        "text.wav": "holds text, not audio",
        "noise.mp3": "not in an audio format",
        "loop.wav": "cannot be opened",
        "zero.wav": "not in an audio format",
        "nothing.wav": "holds no audio (0 samples)",
        "silent.mp4": "has no audio track",
        "none.wav": "there is no such file",
    }
    for name, expected in cases.items():
        line = refused(tmp_path / name)
        assert line.startswith(f"{tmp_path / name}: "), line
        assert expected in line
        assert "\n" not in line


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mkv"])
def test_a_file_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path, name: str) -> None:
    speech = bursts([1.0] * 8)
    file = write_video(tmp_path / name, speech) if name == "a.mkv" else write(tmp_path / name, speech)
    os.truncate(file, file.stat().st_size // 2)
    heard: list[int] = []
    with pytest.raises(ClientError, match="only the first") as fault, Source(file) as source:
        heard.extend(len(block) for block in source.blocks())
    assert fault.value.code == "truncated"
    assert 0.3 * len(speech) < sum(heard) < 0.7 * len(speech)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = write(tmp_path / "a.wav", SPEECH)
    file.chmod(0)
    assert "check its name and permissions" in refused(file)


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b"
    one.write_bytes(b"same")
    other.write_bytes(b"same")
    assert content_hash(one) == content_hash(other)
    with pytest.raises(ClientError, match="check its name"):
        content_hash(tmp_path / "none")
