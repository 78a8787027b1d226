from __future__ import annotations

import numpy as np
import pytest
from cohear_server.decoding.tail import MAX_STATES, TailStates

OFFSET, WIDTH = 75, 4


@pytest.fixture
def tail() -> TailStates:
    """Each row holds its own position."""
    positions = np.arange(OFFSET, MAX_STATES, dtype=np.float32)
    return TailStates(np.repeat(positions[:, None], WIDTH, axis=1), OFFSET)


def speech(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.full((count, WIDTH), -1, np.float32)


def test_tail_stands_at_its_own_positions(tail: TailStates) -> None:
    filled = tail.fill(speech(200), 500)
    assert filled.shape == (500, WIDTH)
    assert (filled[:200] == -1).all()
    assert (filled[200:, 0] == np.arange(200, 500)).all()


def test_before_its_first_position_the_first_row_stands_in(tail: TailStates) -> None:
    filled = tail.fill(speech(10), 100)
    assert (filled[10:OFFSET, 0] == OFFSET).all()
    assert (filled[OFFSET:, 0] == np.arange(OFFSET, 100)).all()


def test_long_enough_is_left_alone(tail: TailStates) -> None:
    states = speech(MAX_STATES)
    assert tail.fill(states, MAX_STATES) is states


def test_different_lengths_become_one_tensor(tail: TailStates) -> None:
    batch = tail.stack([speech(100), speech(400)], 300)
    assert batch.shape == (2, 700, WIDTH)
    assert (batch[0, 100:, 0] == np.arange(100, 700)).all()
    assert (batch[1, :400] == -1).all()


def test_no_window_grows_beyond_30_s(tail: TailStates) -> None:
    assert tail.stack([speech(100), speech(1450)], 300).shape == (2, MAX_STATES, WIDTH)


@pytest.mark.parametrize(("rows", "offset"), [((10, WIDTH), 0), ((0, WIDTH), MAX_STATES), ((MAX_STATES,), 0)])
def test_rows_must_reach_to_the_end(rows: tuple[int, ...], offset: int) -> None:
    with pytest.raises(ValueError, match="tail states"):
        TailStates(np.zeros(rows, np.float32), offset)


def test_a_thinned_tail_has_the_averages(tail: TailStates) -> None:
    thin = tail.thinned(8)
    assert len(thin.rows) == -(-(MAX_STATES - OFFSET) // 8)
    block = np.arange(OFFSET, OFFSET + 8)
    assert (thin.at(OFFSET, OFFSET + 8)[:, 0] == block.mean()).all()
    assert thin.at(OFFSET + 8, OFFSET + 9)[0, 0] == block.mean() + 8
    assert thin.at(MAX_STATES - 1, MAX_STATES)[0, 0] > MAX_STATES - 9


@pytest.mark.parametrize("mels", [80, 128])
def test_no_batch_has_as_many_states_as_mels(tail: TailStates, mels: int) -> None:
    assert tail.stack([speech(mels - 10)], 10).shape[1] == mels + 1
