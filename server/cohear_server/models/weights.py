"""A model's files: which ones there must be, and whether a folder holds them. `sources` says where they come from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import ClientError

REQUIRED = ("config.json", "model.bin", "tokenizer.json")
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
"""either one, as the converter wrote it"""
MULTILINGUAL_TOKENS = 51_865
"""a multilingual model has at least so many tokens; an English one has fewer"""


@dataclass(frozen=True, slots=True)
class Part:
    """A file inside an installed weights package."""

    package: str
    path: str


@dataclass(frozen=True, slots=True)
class PinnedFile:
    name: str
    size_bytes: int
    sha256: str
    parts: tuple[Part, ...]
    """its parts in the weights packages, in order"""

    def check(self, path: Path, remedy: str) -> None:
        """Raises ClientError(`bad_weights`) unless `path` holds this very file."""
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = path.stat().st_size
        except OSError as fault:
            raise ClientError("bad_weights", f"{path} cannot be read ({fault.strerror})", remedy) from fault
        self.compare(path, found, size_bytes, remedy)

    def compare(self, path: Path, sha256: str, size_bytes: int, remedy: str) -> None:
        """As `check`, for contents that are hashed already."""
        if sha256 != self.sha256:
            what = f"{path} is not the pinned file: SHA-256 {sha256[:12]}…, expected {self.sha256[:12]}…"
            if size_bytes != self.size_bytes:
                what += f", {size_bytes:,} of {self.size_bytes:,} bytes"
            raise ClientError("bad_weights", what, remedy)


@dataclass(frozen=True, slots=True)
class Model:
    """What the catalogue says of a model."""

    name: str
    repository: str
    """on the Hugging Face hub"""
    licence: str = ""
    languages: str = ""
    size_mb: int | None = None
    revision: str | None = None
    extra: str | None = None
    """the extra of our own distribution that installs its weights packages"""
    packages: tuple[str, ...] = ()
    """weights packages, as requirements: name==version"""
    files: tuple[PinnedFile, ...] = ()
    """empty: not pinned, any files of that name are taken"""

    @property
    def sha256(self) -> str | None:
        """of model.bin"""
        return next((file.sha256 for file in self.files if file.name == "model.bin"), None)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model that is here and can be loaded."""

    name: str
    directory: Path
    sha256: str | None
    """of model.bin, where it is known"""
    source: str


def missing_files(folder: Path) -> list[str]:
    """What a CTranslate2 Whisper folder must have and this one has not."""
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in VOCABULARIES):
        missing.append(" or ".join(VOCABULARIES))
    return missing


def only_language(folder: Path) -> str | None:
    """The language of a model that has only one; None for others, and where that cannot be told without loading it."""
    try:
        listed = folder / "vocabulary.json"
        tokens = len(json.loads(listed.read_bytes())) if listed.is_file() else _lines(folder / "vocabulary.txt")
    except (OSError, ValueError):
        return None
    return "en" if tokens < MULTILINGUAL_TOKENS else None


def _lines(path: Path) -> int:
    return path.read_bytes().rstrip(b"\n").count(b"\n") + 1
