"""Small models with real hashes, and weights packages that hold them, made in a temporary folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cohear_server.models.sources import SourceOptions
from cohear_server.models.weights import Model, Part, PinnedFile

CONTENTS = {
    "model.bin": b"first half, second half",
    "config.json": b"{}",
    "tokenizer.json": b'{"tokens": 1}',
    "vocabulary.txt": b"a\nb\n",
}
SPLIT = 10

Install = Callable[..., Path]


def pinned(name: str, parts: tuple[Part, ...]) -> PinnedFile:
    data = CONTENTS[name]
    return PinnedFile(name, len(data), hashlib.sha256(data).hexdigest(), parts)


@pytest.fixture
def whole() -> Model:
    """As tiny.en: one package has every file under its own name."""
    files = tuple(pinned(name, (Part("fake-whole", f"fake_whole/{name}"),)) for name in CONTENTS)
    return Model("whole", "org/whole", "MIT", extra="whole", packages=("fake-whole==1.0",), files=files)


@pytest.fixture
def halves() -> Model:
    """As base: model.bin is spread over two packages."""
    rest = tuple(pinned(name, (Part("fake-one", f"fake_one/{name}"),)) for name in CONTENTS if name != "model.bin")
    model_bin = pinned("model.bin", (Part("fake-one", "fake_one/part1"), Part("fake-two", "fake_two/part2")))
    packages = ("fake-one==1.0", "fake-two==1.0")
    return Model("halves", "org/halves", "MIT", revision="0" * 40, packages=packages, files=(model_bin, *rest))


@pytest.fixture
def options(tmp_path: Path) -> SourceOptions:
    return SourceOptions(tmp_path / "cache", offline=True)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution where `importlib.metadata` finds it; its files cannot be imported."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def make(distribution: str, files: dict[str, bytes]) -> Path:
        module = distribution.replace("-", "_")
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        folder = site / module
        folder.mkdir()
        (folder / "__init__.py").write_text("raise AssertionError('weights packages are not imported')\n")
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return folder

    return make


@pytest.fixture
def whole_package(install: Install) -> Path:
    return install("fake-whole", CONTENTS)


@pytest.fixture
def half_packages(install: Install) -> tuple[Path, Path]:
    model_bin = CONTENTS["model.bin"]
    rest = {name: data for name, data in CONTENTS.items() if name != "model.bin"}
    first = install("fake-one", {**rest, "part1": model_bin[:SPLIT]})
    return first, install("fake-two", {"part2": model_bin[SPLIT:]})


@pytest.fixture
def ct2_folder(tmp_path: Path) -> Path:
    """A complete folder that is no pinned model."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, data in CONTENTS.items():
        (folder / name).write_bytes(data)
    (folder / "config.json").write_text(json.dumps({"mine": True}))
    return folder
