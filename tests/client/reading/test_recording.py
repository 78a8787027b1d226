"""Kinds of files that readers get wrong, each made here. `tests/cases/test_random_files.py` tries random ones."""

from __future__ import annotations

import io
import os
import struct
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile as sf
from cohear_client import AudioFile, ClientError
from cohear_client.files import ALL, Choice

from tests.cases.files import RATE_HZ, Part, encode, places, sound

LENGTH_S = len(sound(1)) / RATE_HZ
LAST_S = len(sound(2)) / RATE_HZ


def part(codec: str, seed: int = 1, rate_hz: int = 16_000, channels: int = 1) -> Part:
    return Part(codec, rate_hz, channels, seed, tagged=True)


def heard(path: Path, choice: Choice = ALL) -> np.ndarray:
    with AudioFile(path, choice=choice) as file:
        pcm = np.concatenate(list(file.blocks()))
        assert file.rate_hz == RATE_HZ
    return pcm


def check_sounds(path: Path, *expected: np.ndarray) -> None:
    found = places(heard(path))
    wanted = places(np.concatenate(expected))
    assert np.array(found) == pytest.approx(np.array(wanted), abs=0.03)


def wav(seed: int) -> bytes:
    file = io.BytesIO()
    sf.write(file, sound(seed), RATE_HZ, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize("declared", [0, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x7FFF_F000])
def test_a_wav_whose_writer_could_not_know_its_length(tmp_path: Path, declared: int) -> None:
    data = bytearray(wav(1))
    data[40:44] = data[4:8] = struct.pack("<I", declared)
    (tmp_path / "a.wav").write_bytes(data)
    check_sounds(tmp_path / "a.wav", sound(1))


@pytest.mark.parametrize("chunk", [b"LIST\5\0\0\0abcde\0", b"junk\3\0\0\0abc\0", b"bext\0\0\0\0"])
@pytest.mark.parametrize("at", [12, 36])
def test_a_wav_with_chunks_before_its_data(tmp_path: Path, chunk: bytes, at: int) -> None:
    data = wav(1)
    (tmp_path / "a.wav").write_bytes(data[:at] + chunk + data[at:])
    check_sounds(tmp_path / "a.wav", sound(1))


def test_a_wav_that_breaks_off_says_how_much_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(1)[: 44 + RATE_HZ])
    with pytest.raises(ClientError, match=rf"first 0\.5 s of {LENGTH_S:.1f} s") as fault:
        heard(tmp_path / "a.wav")
    assert fault.value.code == "truncated"


@pytest.mark.parametrize("between", [b"", b"TAG" + b"\0" * 125, b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0)])
def test_mp3_files_that_were_joined(tmp_path: Path, between: bytes) -> None:
    between += b"\0" * (8 if between.startswith(b"APE") else 0)
    first, second = encode("mp3", part("libmp3lame")), encode("mp3", part("libmp3lame", 2, 22_050))
    (tmp_path / "a.mp3").write_bytes(first + between + second)
    check_sounds(tmp_path / "a.mp3", sound(1), sound(2))


@pytest.mark.parametrize("codecs", [("flac", "flac"), ("libopus", "libopus", "libopus"), ("libvorbis", "flac")])
def test_ogg_chains_of_different_rates_codecs_and_channels(tmp_path: Path, codecs: tuple[str, ...]) -> None:
    rates = {"flac": 44_100, "libvorbis": 16_000, "libopus": 48_000}
    links = [encode("ogg", part(codec, seed, rates[codec], 1 + seed % 2)) for seed, codec in enumerate(codecs, 1)]
    links[0] = encode("ogg", part(codecs[0]))
    (tmp_path / "a.ogg").write_bytes(b"".join(links))
    with AudioFile(tmp_path / "a.ogg") as file:
        seconds = sum(map(len, file.blocks())) / file.rate_hz
    assert seconds == pytest.approx(sum(len(sound(n + 1)) for n in range(len(codecs))) / RATE_HZ, abs=0.03)


def test_a_flac_from_a_pipe_and_one_behind_another(tmp_path: Path) -> None:
    first, second = bytearray(encode("flac", part("flac"))), encode("flac", part("flac", 2, 44_100, 2))
    first[21] &= 0xF0
    first[22:26] = b"\0" * 4  # total samples: unknown
    (tmp_path / "a.flac").write_bytes(first + second)
    check_sounds(tmp_path / "a.flac", sound(1), sound(2))


def test_films_one_behind_the_other(tmp_path: Path) -> None:
    for suffix, codec in (("m4a", "alac"), ("webm", "libopus"), ("wav", "pcm_s16le")):
        data = encode(suffix, part(codec)) + encode(suffix, part(codec, 2))
        (tmp_path / f"a.{suffix}").write_bytes(data)
        with AudioFile(tmp_path / f"a.{suffix}") as file:
            seconds = sum(map(len, file.blocks())) / file.rate_hz
        assert seconds == pytest.approx(LENGTH_S + LAST_S, abs=0.03)


def damaged(tmp_path: Path, suffix: str, codec: str, bad: slice) -> Path:
    """A copy of a recording with packets that hold nothing that can be decoded."""
    clean, file = io.BytesIO(encode(suffix, part(codec))), tmp_path / f"bad.{suffix}"
    rng = np.random.default_rng(1)
    with av.open(clean, "r") as source, av.open(str(file), "w") as target:
        stream = source.streams.audio[0]
        copy = target.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
        for number, packet in enumerate(packets):
            if number in range(*bad.indices(len(packets))):
                noise: Any = av.Packet(rng.bytes(packet.size))
                noise.pts, noise.dts, noise.time_base = packet.pts, packet.dts, packet.time_base
                noise.duration = packet.duration
                packet = noise  # noqa: PLW2901
            packet.stream = copy
            target.mux(packet)
    return file


@pytest.mark.parametrize("suffix", ["m4a", "mkv"])
def test_bad_packets_are_silence_and_told_with_their_place(tmp_path: Path, suffix: str) -> None:
    got: list[np.ndarray] = []
    with (
        AudioFile(damaged(tmp_path, suffix, "aac", slice(20, 22))) as file,
        pytest.raises(ClientError, match=r"all was read but 0\.1\d s at 1\.[23] s") as fault,
    ):
        got.extend(file.blocks())
    assert fault.value.code == "damaged"
    assert sum(map(len, got)) == pytest.approx(len(sound(1)), abs=0.1 * RATE_HZ)
    assert places(np.concatenate(got))[-1] == pytest.approx(places(sound(1))[-1], abs=0.03)


def test_a_file_of_which_nothing_can_be_decoded(tmp_path: Path) -> None:
    with (
        AudioFile(damaged(tmp_path, "m4a", "aac", slice(0, None))) as file,
        pytest.raises(ClientError, match="can be decoded") as fault,
    ):
        list(file.blocks())
    assert fault.value.code == "bad_file"


def film(path: Path, *tracks: tuple[str, int, bool]) -> None:
    """A film with a track of 8 s of picture and one of sound for each (language, seed, default)."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=5)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        streams = [container.add_stream("aac", rate=RATE_HZ, layout="mono") for _ in tracks]
        for stream, (language, _, default) in zip(streams, tracks, strict=True):
            stream.metadata["language"] = language
            stream.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
        for _ in range(40):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 99, np.uint8), "rgb24")))
        container.mux(picture.encode(None))
        for stream, (_, seed, _) in zip(streams, tracks, strict=True):
            frame = av.AudioFrame.from_ndarray(sound(seed)[None], "fltp", "mono")
            frame.sample_rate, frame.pts = RATE_HZ, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("wanted", "seed"), [("", 2), ("1", 1), ("2", 2), ("de", 1), ("ger", 1), ("de-AT", 1), ("EN", 2), ("eng", 2)]
)
def test_the_default_track_or_the_one_that_is_asked_for(tmp_path: Path, wanted: str, seed: int) -> None:
    film(tmp_path / "a.mkv", ("ger", 1, False), ("eng", 2, True))
    pcm = heard(tmp_path / "a.mkv", Choice(track=wanted))
    assert np.array(places(pcm)) == pytest.approx(np.array(places(sound(seed))), abs=0.03)


def test_a_track_or_channel_that_is_not_there(tmp_path: Path) -> None:
    film(tmp_path / "a.mkv", ("ger", 1, True))
    with pytest.raises(ClientError, match=r"no track 'fr': choose one of its tracks: 1 \(ger\)"):
        AudioFile(tmp_path / "a.mkv", choice=Choice(track="fr"))
    with pytest.raises(ClientError, match="no channel 2: choose one from 1 to 1"):
        AudioFile(tmp_path / "a.mkv", choice=Choice(channel=2))


def test_sound_that_is_shorter_than_the_picture_is_no_fault(tmp_path: Path) -> None:
    film(tmp_path / "a.mkv", ("ger", 1, True))
    film(tmp_path / "a.mp4", ("ger", 1, True))
    check_sounds(tmp_path / "a.mkv", sound(1))
    check_sounds(tmp_path / "a.mp4", sound(1))


def test_one_channel_alone(tmp_path: Path) -> None:
    sides = np.stack([sound(1), np.zeros_like(sound(1))], axis=1)
    sf.write(tmp_path / "a.wav", sides, RATE_HZ)
    assert heard(tmp_path / "a.wav", Choice(channel=1)).any()
    assert not heard(tmp_path / "a.wav", Choice(channel=2)).any()


def test_what_only_soundfile_knows(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.htk", sound(1), RATE_HZ, format="HTK", subtype="PCM_16")
    check_sounds(tmp_path / "a.htk", sound(1))


def test_a_named_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(encode("m4a", part("aac")),))
    writer.start()
    check_sounds(tmp_path / "pipe", sound(1))
    writer.join()


@pytest.mark.parametrize(
    "name", ["2024-11-14T22:57:44.m4a", "--my_file.m4a", "x" * 251 + ".m4a", "pipe:0", "a%03d.m4a"]
)
def test_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(encode("m4a", part("aac")))
    check_sounds(tmp_path / name, sound(1))


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/latin\xe9.m4a"))
    path.write_bytes(encode("m4a", part("aac")))
    check_sounds(path, sound(1))
