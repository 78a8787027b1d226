"""Which setting is chosen, and when none is: on heard texts made for it, and on random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cohear_server.decoding.engine import WhisperEngine
from cohear_server.decoding.options import EngineOptions
from cohear_server.decoding.profile import read_profile
from cohear_server.decoding.profiling import Bench, Trial, make_profile
from cohear_server.decoding.trials import Errors, Heard
from cohear_server.errors import ClientError

from tests.samples import FOLDER

QUIET = Heard(("a b",) * 100, ("en",) * 100, ((),) * 100, (0.0,) * 100, cpu_ms=100.0)
LOOP_LEFT = replace(QUIET, texts=("and so on " * 4,))
LOOPED = replace(QUIET, rules=(("loop",), ("token_cap",)) * 6)


def ignore(_: str) -> None:
    pass


@pytest.fixture
def bench() -> Bench:
    """Measured with references on 100 utterances of 1,000 words, 50 of them wrong when padded."""
    bench = Bench.__new__(Bench)
    bench.referenced = True
    bench.padded, bench.padded_cut = QUIET, QUIET
    bench.padded_wrong = Errors(1000, (25, 25))
    bench.cut = [None] * 100  # type: ignore[list-item]
    return bench


GOOD = Trial(QUIET, QUIET, Errors(1000, (28, 27)), Errors(500, (40,)))


@pytest.mark.parametrize(
    ("trial", "fault"),
    [
        (GOOD, None),
        (replace(GOOD, wrong=Errors(1000, (40, 40))), "8.00 % of the words wrong, padded 5.00 %"),
        (replace(GOOD, differing=Errors(500, (80,))), "16.0 % of the words of cut windows"),
        (replace(GOOD, cut=LOOP_LEFT), "1 texts more than padded"),
        (replace(GOOD, cut=LOOPED), "12 of 100 cut windows"),
    ],
)
def test_a_setting_must_spoil_nothing(bench: Bench, trial: Trial, fault: str | None) -> None:
    found = bench.fault_of(trial)
    assert found is None if fault is None else fault in (found or "")


def test_one_word_among_few_is_forgiven(bench: Bench) -> None:
    bench.padded_wrong = Errors(40, (2,))
    assert bench.fault_of(replace(GOOD, wrong=Errors(40, (3,)))) is None


@pytest.mark.parametrize("mels", [80, 128])
def test_random_weights_stay_padded_and_say_why(
    random_model_dir: Callable[[int], Path], tmp_path: Path, mels: int
) -> None:
    """Of 128 mels as large-v3-turbo."""
    outcome = make_profile(random_model_dir(mels), "random", FOLDER, tmp_path, ignore)
    assert not outcome.short_windows
    assert "padded" in outcome.reason
    read = read_profile(tmp_path / "random")
    assert (read.short_windows, read.reason) == (False, outcome.reason)
    assert (outcome.folder / "tail.npz").stat().st_size < 1000
    engine = WhisperEngine(EngineOptions("random", random_model_dir(mels), device="cpu", profile_dir=tmp_path))
    assert not engine.info.short_windows


def test_without_references_padded_texts_stand_for_them(
    random_model_dir: Callable[[int], Path], tmp_path: Path
) -> None:
    clips = sorted(FOLDER.glob("*.flac"), key=lambda path: path.stat().st_size)[-8:]
    for clip in clips:
        (tmp_path / clip.name).symlink_to(clip)
    outcome = make_profile(random_model_dir(80), "random", tmp_path, tmp_path / "out", ignore)
    assert not outcome.short_windows


def test_too_little_speech_is_refused(random_model_dir: Callable[[int], Path], tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="0 clips") as refused:
        make_profile(random_model_dir(80), "random", tmp_path, tmp_path / "out", ignore)
    assert refused.value.code == "bad_audio"
