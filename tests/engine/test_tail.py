from __future__ import annotations

import numpy as np
import pytest
from cohear_server.engine.tail import MAX_STATES, EndStates, TailStates, filled_length

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


@pytest.mark.parametrize(("states", "filled"), [(1, 350), (200, 350), (201, 500), (851, 1250), (1490, 1500)])
def test_filled_lengths(states: int, filled: int) -> None:
    assert filled_length(states, 150) == filled


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


class TestEndStates:
    tail = EndStates(np.arange(3, dtype=np.float32)[:, None].repeat(WIDTH, axis=1))

    @pytest.mark.parametrize("length", [1, 200])
    def test_they_follow_a_window_of_any_length_and_the_last_one_repeats(self, length: int) -> None:
        filled = self.tail.fill(speech(length), length + 6)
        assert (filled[:length] == -1).all()
        assert filled[length:, 0].tolist() == [0, 1, 2, 2, 2, 2]

    def test_long_enough_is_left_alone(self) -> None:
        states = speech(10)
        assert self.tail.fill(states, 10) is states

    def test_there_must_be_some(self) -> None:
        with pytest.raises(ValueError, match="end states"):
            EndStates(np.zeros((0, WIDTH), np.float32))
