from __future__ import annotations

import numpy as np
import pytest
from cohear_server.core.buffer import AudioBuffer


def test_absolute_positions_hold_while_the_front_is_dropped() -> None:
    buffer = AudioBuffer()
    for i in range(200):
        buffer.append(np.full(1_000, i, np.int16))
        buffer.drop_before(buffer.end - 5_000)
        assert buffer.read(buffer.end - 1_000, buffer.end).tolist() == [i] * 1_000
    assert buffer.end == 200_000
    assert buffer.end - buffer.start < 50_000


def test_what_is_gone_or_not_there_yet_cannot_be_read() -> None:
    buffer = AudioBuffer()
    buffer.append(np.zeros(100_000, np.int16))
    buffer.drop_before(90_000)
    with pytest.raises(IndexError):
        buffer.read(0, 10)
    with pytest.raises(IndexError):
        buffer.read(99_999, 100_001)


def test_a_window_is_a_copy() -> None:
    buffer = AudioBuffer()
    buffer.append(np.ones(10, np.int16))
    buffer.read(0, 10)[:] = 7
    assert buffer.read(0, 10).tolist() == [1] * 10
