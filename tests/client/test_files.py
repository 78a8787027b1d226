from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cohear_client import AudioFile, ClientError
from hypothesis import given
from hypothesis import strategies as st

from .conftest import write_tone


def samples_of(path: Path, *, mono: bool = True) -> np.ndarray:
    with AudioFile(path, mono=mono) as file:
        return np.concatenate(list(file.blocks()))


def fault_of(path: Path) -> ClientError:
    with pytest.raises(ClientError) as caught:
        samples_of(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return caught.value


def test_pcm16_comes_through_bit_for_bit(tmp_path: Path) -> None:
    pcm = np.random.default_rng(1).integers(-32768, 32768, 12_345).astype(np.int16)
    for suffix in ("wav", "flac"):
        sf.write(tmp_path / f"a.{suffix}", pcm, 16_000, subtype="PCM_16")
        assert np.array_equal(samples_of(tmp_path / f"a.{suffix}"), pcm)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff", "au"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    path = write_tone(tmp_path / f"tone.{suffix}")
    with AudioFile(path) as file:
        assert file.rate_hz == 16_000
        heard = np.concatenate(list(file.blocks()))
    assert len(heard) / 16_000 == pytest.approx(1.0, abs=0.1)
    assert 5_000 < np.abs(heard).max() < 15_000


def test_floats_beyond_full_scale_make_all_softer_and_what_is_no_number_is_silence(tmp_path: Path) -> None:
    wave = np.sin(np.arange(32_000) / 20).astype(np.float32)
    sf.write(tmp_path / "f.wav", 4 * wave, 16_000, subtype="FLOAT")
    assert np.abs(samples_of(tmp_path / "f.wav") / 32_768 - wave).max() < 0.01
    wave[100:110], wave[200], wave[300] = np.nan, np.inf, -np.inf
    sf.write(tmp_path / "n.wav", wave / 2, 16_000, subtype="FLOAT")
    got = samples_of(tmp_path / "n.wav")
    assert not got[100:110].any()
    assert (got[200], got[300]) == (32_767, -32_768)


def test_a_spike_leaves_all_else_as_loud_as_it_was(tmp_path: Path) -> None:
    wave = 0.5 * np.sin(np.arange(64_000) / 20).astype(np.float32)
    wave[16_000:16_004] = 900.0
    sf.write(tmp_path / "f.wav", wave, 16_000, subtype="FLOAT")
    assert np.abs(np.delete(samples_of(tmp_path / "f.wav") / 32_768 - wave, range(16_000, 16_004))).max() < 0.001


def test_channels_are_mixed_or_kept(tmp_path: Path) -> None:
    sf.write(tmp_path / "s.wav", np.array([[1000, 3000]] * 10, np.int16), 16_000)
    assert samples_of(tmp_path / "s.wav").tolist() == [2000] * 10
    assert samples_of(tmp_path / "s.wav", mono=False).tolist() == [[1000, 3000]] * 10


@pytest.mark.parametrize(
    ("rate_hz", "sent_hz"), [(8_000, 8_000), (44_100, 44_100), (96_000, 48_000), (192_000, 48_000)]
)
def test_high_rates_are_divided(tmp_path: Path, rate_hz: int, sent_hz: int) -> None:
    path = write_tone(tmp_path / "r.wav", 0.33, rate_hz)
    with AudioFile(path) as file:
        assert file.start().sample_rate == sent_hz
        assert sum(map(len, file.blocks(0.01))) == pytest.approx(0.33 * sent_hz, abs=1)


def test_missing_folder_empty_and_text(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "notes.wav").write_text("dear diary, this is no sound at all\n")
    (tmp_path / "noise.wav").write_bytes(bytes(range(128, 256)) * 4)
    assert "no such file" in fault_of(tmp_path / "none.wav").message
    assert "folder" in fault_of(tmp_path).message
    assert "empty (0 bytes)" in fault_of(tmp_path / "empty.wav").message
    assert "text, not audio" in fault_of(tmp_path / "notes.wav").message
    assert "ffmpeg" in fault_of(tmp_path / "noise.wav").remedy


def test_no_samples(tmp_path: Path) -> None:
    sf.write(tmp_path / "none.wav", np.zeros(0, np.int16), 16_000)
    assert "0 samples" in fault_of(tmp_path / "none.wav").message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tone: Path) -> None:
    tone.chmod(0)
    assert "Permission denied" in fault_of(tone).message


def test_a_rate_below_the_protocols_is_refused(tmp_path: Path) -> None:
    assert "4000 Hz" in fault_of(write_tone(tmp_path / "low.wav", rate_hz=4_000)).message


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_a_cut_file_gives_what_there_is_then_says_how_much(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    sf.write(path, np.random.default_rng(0).normal(0, 3000, 160_000).astype(np.int16), 16_000)
    os.truncate(path, path.stat().st_size // 2)
    got: list[int] = []
    with AudioFile(path) as file, pytest.raises(ClientError, match=r"first [45]\.\d s of 10\.0 s") as caught:
        got.extend(map(len, file.blocks()))
    assert caught.value.code == "truncated"
    assert 4 * 16_000 < sum(got) < 6 * 16_000


def test_a_wav_whose_writer_could_not_know_its_length_is_whole(tone: Path) -> None:
    data = bytearray(tone.read_bytes())
    at = data.index(b"data")
    data[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    tone.write_bytes(data)
    assert len(samples_of(tone)) == 16_000


@given(
    junk=st.binary(max_size=300),
    head=st.sampled_from([b"", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"fLaC\0\0\0\x22", b"OggS"]),
)
def test_junk_is_the_files_fault_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, head: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.wav"
    path.write_bytes(head + junk)
    with contextlib.suppress(ClientError):
        samples_of(path)
