"""The files of the paths, folders and globs on the command line, and where their outputs go."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cohear_client.errors import ClientError

AUDIO = ".aac .ac3 .aif .aifc .aiff .amr .ape .au .caf .flac .m4a .m4b .mka .mp2 .mp3 .oga .ogg .opus .w64 .wav .wma"
VIDEO = ".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv"
SUFFIXES = frozenset(f"{AUDIO} {VIDEO}".split())
"""of the files of a folder that are taken; a file that is named itself is taken whatever its name"""


@dataclass(frozen=True, slots=True)
class Input:
    """A file, and its path below the folder that was named (its name, if it was named itself)."""

    path: Path
    below: Path


def find_inputs(names: Sequence[str], *, may_be_empty: bool = False) -> list[Input]:
    """Files in the order given, each once; folders with all below them, sorted. A name that is nothing stays, and its
    turn will tell what is wrong. Raises ClientError(`no_file`) for a glob without match, and for a folder without
    audio, unless it `may_be_empty`."""
    found: dict[str, Input] = {}
    for name in names:
        for one in _expand(name, may_be_empty):
            found.setdefault(os.path.realpath(one.path) if one.path.exists() else str(one.path), one)
    return list(found.values())


def _expand(name: str, may_be_empty: bool) -> Iterable[Input]:
    path = Path(name)
    if path.is_dir():
        files = list(_walk(path))
        if not files and not may_be_empty:
            raise ClientError("no_file", f"{path}: no audio or video files in this folder", "name another folder")
        return files
    if not os.path.lexists(path) and glob.has_magic(name):
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            raise ClientError("no_file", f"{name}: nothing has such a name", "check the pattern")
        plain = (glob.escape(match) if glob.has_magic(match) else match for match in matches)
        return [one for match in plain for one in _expand(match, may_be_empty)]
    return [Input(path, Path(path.name))]


def _walk(folder: Path) -> Iterator[Input]:
    """Links are followed, each folder is entered once, hidden ones are not."""
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                path = Path(place, name)
                yield Input(path, path.relative_to(folder))


def targets(inputs: Iterable[Input], folder: Path) -> dict[Path, Path]:
    """Where the outputs of each file go, without suffix: below `folder` as the file below its own, named for it, and
    with its suffix where two would be one. Raises ClientError(`same_name`) for files that even then are one."""
    made: dict[Path, Path] = {}
    inputs = list(inputs)
    counts: dict[Path, int] = {}
    for one in inputs:
        short = one.below.with_suffix("") if one.below.suffix else one.below
        counts[short] = counts.get(short, 0) + 1
    taken: set[Path] = set()
    for one in inputs:
        short = one.below.with_suffix("") if one.below.suffix else one.below
        stem = folder / (short if counts[short] == 1 else one.below)
        if stem in taken:
            raise ClientError(
                "same_name",
                f"{one.path}: another file's outputs have the same name",
                "transcribe it in a run of its own",
            )
        taken.add(stem)
        made[one.path] = stem
    return made
