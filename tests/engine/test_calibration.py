"""Confidence calibration: fitting, applying, measuring, and the profile's table of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cohear_server.engine.calibration import Calibration, calibration_error, calibration_of, fit
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.profile import find_profile, profiles_dir, read_profile

from .jobs import make_job


def speech(slope: float, offset: float, count: int = 20_000) -> tuple[list[float], list[bool]]:
    """Words whose true probability is sigmoid(slope * logit(p) + offset)."""
    noise = np.random.default_rng(0)
    p = noise.uniform(0.02, 0.98, count)
    truth = 1 / (1 + np.exp(-slope * np.log(p / (1 - p)) - offset))
    return p.tolist(), (noise.uniform(size=count) < truth).tolist()


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.5, 1.0), (1.4, -0.7)])
def test_fit_finds_what_made_the_words(slope: float, offset: float) -> None:
    found = fit(*speech(slope, offset))
    assert found.slope == pytest.approx(slope, abs=0.06)
    assert found.offset == pytest.approx(offset, abs=0.06)


def test_fit_mends_the_calibration_error() -> None:
    p, right = speech(0.4, 1.5)
    mended = fit(p, right)
    assert calibration_error(p, right) > 0.2
    assert calibration_error([mended.apply(x) for x in p], right) < 0.02


@pytest.mark.parametrize("right", [[True, True], [False, False], []])
def test_words_of_one_kind_fit_nothing(right: list[bool]) -> None:
    with pytest.raises(ValueError, match="right words and wrong"):
        fit([0.5] * len(right), right)


def test_order_is_kept_and_the_ends_are_safe() -> None:
    values = [Calibration(1.2, 0.8).apply(p) for p in (0.0, 0.01, 0.3, 0.9, 1.0)]
    assert values == sorted(values)
    assert all(0 < value < 1 for value in values)
    assert Calibration(1.0, 0.0).apply(0.3) == pytest.approx(0.3)


def test_calibration_error_by_hand() -> None:
    # two bins: 0.2 believed and none right, 0.9 believed and all right
    assert calibration_error([0.2, 0.2, 0.9, 0.9], [False, False, True, True], 2) == pytest.approx(0.15)
    assert calibration_error([0.9, 0.2, 0.9, 0.2], [True, False, True, False], 2) == pytest.approx(0.15)
    assert calibration_error([], []) == 0.0
    assert not math.isnan(calibration_error([0.7], [True]))


@pytest.mark.parametrize(
    "table",
    [{}, {"slope": 1.0}, {"slope": "1", "offset": 0.0}, {"slope": 0, "offset": 0.0}, {"slope": -1, "offset": 0}],
)
def test_useless_tables_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\[calibration\]"):
        calibration_of(table)


def test_profile_without_the_table_has_none(tmp_path: Path) -> None:
    source = profiles_dir() / "tiny.en"
    folder = tmp_path / "tiny.en"
    folder.mkdir()
    (folder / "tail.npz").write_bytes((source / "tail.npz").read_bytes())
    text = (source / "profile.toml").read_text().split("\n[")[0]
    (folder / "profile.toml").write_text(text)
    assert read_profile(folder).calibration is None
    (folder / "profile.toml").write_text(text + "\n[calibration]\nslope = 1.5\noffset = 0\n")
    assert read_profile(folder).calibration == Calibration(1.5, 0.0)


@pytest.mark.parametrize("name", ["tiny.en", "base"])
def test_our_models_are_calibrated(name: str) -> None:
    profile = find_profile(name)
    assert profile is not None
    assert profile.calibration is not None


@pytest.mark.model
def test_engine_applies_it_to_each_word(tiny_en_dir: Path) -> None:
    import soundfile

    pcm, _ = soundfile.read(Path(__file__).parents[2] / "audio_samples" / "jfk.flac", dtype="int16")
    engine = WhisperEngine(EngineOptions("tiny.en", tiny_en_dir, device="cpu", compute_type="int8", threads=1))
    assert engine.profile is not None
    mended = Calibration(0.5, -1.0)
    engine.profile = replace(engine.profile, calibration=None)
    raw = engine.decode([make_job(pcm)])[0]
    engine.profile = replace(engine.profile, calibration=mended)
    result = engine.decode([make_job(pcm)])[0]
    assert result.text == raw.text
    assert [w.probability for w in result.words] == pytest.approx([mended.apply(w.probability) for w in raw.words])
    assert result.confidence == pytest.approx(sum(w.probability for w in result.words) / len(result.words))
