"""Random files of every kind are read whole, and every sound at its time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cohear_client import ClientError
from cohear_server.batch.sources import Source
from hypothesis import given

from ..examples import examples
from .files import RATE_HZ, Recipe, make, outside_gap, places, recipes

NEAR_S = 0.03
DELAY_S = 0.13
"""What a codec puts before or behind the sound where the container cannot say so."""


@given(recipe=recipes())
@examples(0.4)
def test_every_sound_is_read_at_its_time(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> None:
    path = tmp_path_factory.getbasetemp() / f"random.{recipe.suffix}"
    expected = make(recipe, path)
    pcm, fault = read(path)
    heard = outside_gap(recipe, places(pcm))
    wanted = outside_gap(recipe, places(expected))
    if recipe.cut:
        assert fault in ("", "truncated", "bad_file", "empty_audio")
        wanted = wanted[: max(len(heard) - 1, 0)]
        heard = heard[: len(wanted)]
    else:
        assert fault == ""
        assert abs(len(pcm) - len(expected)) / RATE_HZ <= DELAY_S * len(recipe.parts)
    assert len(heard) == len(wanted)
    for (begin_s, end_s), (wanted_begin_s, wanted_end_s) in zip(heard, wanted, strict=True):
        assert begin_s == pytest.approx(wanted_begin_s, abs=NEAR_S)
        assert end_s == pytest.approx(wanted_end_s, abs=NEAR_S)


def read(path: Path) -> tuple[np.ndarray, str]:
    """What is heard, and the code of the fault that ended it."""
    blocks = [np.zeros(0, np.int16)]
    try:
        with Source(path) as source:
            blocks.extend(source.blocks())
    except ClientError as fault:
        return np.concatenate(blocks), fault.code
    return np.concatenate(blocks), ""
