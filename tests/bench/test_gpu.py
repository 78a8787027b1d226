"""The random model that stands for one too large to be at hand: the engine takes it, in short windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cohear_server.core.jobs import DecodeJob, DecodeOptions, JobKind
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.options import EngineOptions
from gpu import LENIENT, NAME, make_model
from random_model import Shape


def test_text_has_the_length_of_speech_and_is_not_doubted(tmp_path: Path) -> None:
    model = make_model(tmp_path, Shape(mels=128), "int8")
    options = EngineOptions(NAME, model, device="cpu", compute_type="int8", profile_dir=tmp_path / "profiles")
    engine = WhisperEngine(options, LENIENT)
    assert engine.info.short_windows
    pcm = np.random.default_rng(1).normal(0, 2_000, 5 * 16_000).astype(np.int16)
    (result,) = engine.decode([DecodeJob("1", "", "", 0, pcm, JobKind.FINAL, 1.0, DecodeOptions(NAME, "en"))])
    assert result.error is None
    assert set(result.rules) <= {"token_cap"}
    assert result.text
