from __future__ import annotations

import numpy as np
import pytest
from cohear_client.errors import ClientError
from cohear_client.pcm import frame_bytes, seconds, split, to_bytes
from cohear_client.protocol import Encoding, Start
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 50), st.integers(1, 8), st.integers(1, 40))
def test_pieces_are_whole_frames_and_lose_nothing(frames: int, channels: int, max_bytes: int) -> None:
    start = Start(channels=channels)
    data = bytes(i % 256 for i in range(frames * frame_bytes(start)))
    pieces = list(split(data, start, max_bytes))
    assert b"".join(pieces) == data
    assert all(len(p) % frame_bytes(start) == 0 and p for p in pieces)
    assert all(len(p) <= max(max_bytes, frame_bytes(start)) for p in pieces)


@pytest.mark.parametrize(
    ("encoding", "dtype"), [("pcm_s16le", ">i2"), ("pcm_f32le", "<f4"), ("mulaw", "u1"), ("alaw", "u1")]
)
def test_arrays_become_little_endian_bytes(encoding: Encoding, dtype: str) -> None:
    array = np.array([1, 2, 3], dtype)
    wire = array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert to_bytes(array, Start(encoding=encoding)) == wire


@pytest.mark.parametrize("audio", [b"\0", bytearray(3), memoryview(b"\0\0\0"), np.zeros(4, np.float64)])
def test_what_is_not_the_streams_audio_is_refused(audio: bytes) -> None:
    with pytest.raises(ClientError) as caught:
        to_bytes(audio, Start())
    assert caught.value.code == "bad_audio"
    assert caught.value.remedy


def test_durations() -> None:
    stereo = Start(channels=2, sample_rate=8_000)
    assert seconds(bytes(32_000), stereo) == 1.0
    assert seconds(np.zeros((8_000, 2), np.int16), stereo) == 1.0
