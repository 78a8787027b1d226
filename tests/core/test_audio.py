"""Frames of every encoding, rate and channel count become the same 16 kHz samples, each counted once."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from cohear_client.protocol import ENCODINGS, Encoding
from cohear_server.core.audio import AudioDecoder, AudioFormat
from cohear_server.errors import ClientError
from hypothesis import given
from hypothesis import strategies as st


def tone(rate_hz: int, seconds: float = 0.5, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)


def decoded(decoder: AudioDecoder, frames: list[bytes]) -> np.ndarray:
    parts = [decoder.decode(frame) for frame in frames]
    return np.concatenate([*parts, decoder.flush()])


def test_pcm16_at_16_khz_passes_unchanged() -> None:
    samples = (tone(16_000) * 32767).astype("<i2")
    out = decoded(AudioDecoder(AudioFormat(16_000, "pcm_s16le", 1)), [samples.tobytes()])
    assert np.array_equal(out, samples)


def test_float_is_pcm16_scaled() -> None:
    samples = tone(16_000).astype("<f4")
    out = decoded(AudioDecoder(AudioFormat(16_000, "pcm_f32le", 1)), [samples.tobytes()])
    assert np.abs(out - samples * 32767).max() <= 0.51


@pytest.mark.parametrize(
    ("encoding", "codes", "levels"),
    [
        # ITU-T G.711: the ends of the scale, the smallest values, and the silence codes
        ("mulaw", [0x00, 0x80, 0xFF, 0x7F, 0xF0], [-32124, 32124, 0, 0, 120]),
        ("alaw", [0x2A, 0xAA, 0xD5, 0x55, 0x80], [-32256, 32256, 8, -8, 5504]),
    ],
)
def test_g711_codes(encoding: Encoding, codes: list[int], levels: list[int]) -> None:
    assert AudioDecoder(AudioFormat(16_000, encoding, 1)).decode(bytes(codes)).tolist() == levels


def test_channels_are_averaged() -> None:
    stereo = np.array([[1000, 3000], [-500, 500]], "<i2")
    assert AudioDecoder(AudioFormat(16_000, "pcm_s16le", 2)).decode(stereo.tobytes()).tolist() == [2000, 0]


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_streaming_resampling_equals_resampling_at_once(rate_hz: int) -> None:
    samples = (tone(rate_hz, 1.0) * 32767).astype("<i2")
    data = samples.tobytes()
    frames = [data[i : i + 2 * 441] for i in range(0, len(data), 2 * 441)]
    out = decoded(AudioDecoder(AudioFormat(rate_hz, "pcm_s16le", 1)), frames)
    whole = soxr.resample(samples, rate_hz, 16_000)
    assert len(out) == 16_000
    assert np.abs(out[: len(whole)].astype(int) - whole[: len(out)].astype(int)).max() <= 2


@given(
    rate_hz=st.integers(8_000, 48_000),
    encoding=st.sampled_from(ENCODINGS),
    channels=st.integers(1, 8),
    sizes=st.lists(st.integers(0, 3_000), max_size=12),
)
def test_every_sample_is_counted_once(rate_hz: int, encoding: Encoding, channels: int, sizes: list[int]) -> None:
    fmt = AudioFormat(rate_hz, encoding, channels)
    decoder = AudioDecoder(fmt)
    out = decoded(decoder, [bytes(size * fmt.frame_bytes) for size in sizes])
    assert decoder.received == sum(sizes)
    assert len(out) == decoder.to_inner(decoder.received)
    assert decoder.to_outer(len(out)) in range(decoder.received - rate_hz // 16_000 - 1, decoder.received + 1)


def test_half_a_sample_is_refused_and_counts_for_nothing() -> None:
    decoder = AudioDecoder(AudioFormat(16_000, "pcm_s16le", 2))
    with pytest.raises(ClientError, match="multiples of 4 bytes") as caught:
        decoder.decode(b"\0" * 6)
    assert (caught.value.code, decoder.received) == ("bad_audio", 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 20_000.0])
def test_floats_that_are_no_audio_are_refused(value: float) -> None:
    decoder = AudioDecoder(AudioFormat(16_000, "pcm_f32le", 1))
    with pytest.raises(ClientError, match="between -1 and 1"):
        decoder.decode(np.array([0.0, value], "<f4").tobytes())
    assert decoder.received == 0


def test_floats_a_little_over_full_scale_are_limited_and_counted() -> None:
    decoder = AudioDecoder(AudioFormat(16_000, "pcm_f32le", 1))
    assert decoder.decode(np.array([1.2, -1.5, 0.5], "<f4").tobytes()).tolist() == [32767, -32767, 16384]
    assert decoder.clipped == 2


@pytest.mark.parametrize("frame_s", [0.001, 0.02, 1.0])
@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f32le"])
def test_a_voice_that_is_inverted_in_one_channel_is_heard(encoding: Encoding, frame_s: float) -> None:
    fmt = AudioFormat(16_000, encoding, 2)
    voice = tone(16_000, 2.0)
    sides = np.stack([voice, -voice], axis=1)
    data = (sides * 32767).astype("<i2").tobytes() if encoding == "pcm_s16le" else sides.astype("<f4").tobytes()
    size = round(frame_s * 16_000) * fmt.frame_bytes
    heard = decoded(AudioDecoder(fmt), [data[at : at + size] for at in range(0, len(data), size)])
    assert len(heard) == len(voice)
    assert np.abs(heard[1_000:]).mean() > 0.9 * np.abs(voice[1_000:] * 32767).mean()


@pytest.mark.parametrize(
    "head",
    [
        b"RIFF\x24\0\0\0WAVE",
        b"OggS\0\2\0\0\0\0\0\0",
        b"fLaC\0\0\0\x22\x10\0\x10\0",
        b"\x1a\x45\xdf\xa3\x9fB\x86\x81\1B\xf7",
        b"ID3\4\0\0\0\0\1\0\0\0",
        b"\0\0\0\x20ftypisom",
    ],
)
def test_a_file_instead_of_samples_is_refused_with_what_it_is(head: bytes) -> None:
    decoder = AudioDecoder(AudioFormat(16_000, "pcm_s16le", 1))
    with pytest.raises(ClientError, match=r"begins with a file \(\w+\), not with pcm_s16le samples"):
        decoder.decode(head + bytes(100))
    assert decoder.received == 0
    decoder.decode(bytes(100))
    decoder.decode(head[:10])
    assert decoder.received == 55
