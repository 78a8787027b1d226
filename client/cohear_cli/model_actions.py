"""`cohear models verify | profile | eval`: what takes a model's files, or hears speech with them.

The work is the server package's: `models.verify`, `lab.profiling`, `lab.evaluation`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from .stdio import print_json, say
from .usage import Help, Subparsers

if TYPE_CHECKING:
    from cohear_server.lab.evaluation import Evaluation
    from cohear_server.models.verify import Verification

DEFAULT_CLIPS = 40


def add_actions(actions: Subparsers) -> None:
    """Add the three actions."""
    verify = _add(actions, "verify", "hash all files of a model that is here, and say what is wrong", _verify)
    verify.add_argument("--json", action="store_true", help="print JSON")

    profile = _add(actions, "profile", "measure how short a model's windows may be, and write its profile", _profile)
    profile.add_argument(
        "--audio", metavar="DIR|MANIFEST", type=Path, default=Path("audio_samples"), help="speech; 100 clips are plenty"
    )
    profile.add_argument("--out", metavar="DIR", type=Path, help="folder of profiles (default: the service's own)")
    profile.epilog = """the profile is used by models of the same name and the same weights:
  cohear models profile ./my-whisper --audio calls/ --out profiles/"""

    evaluate = _add(actions, "eval", "word error, cost and confidence on your own speech", _evaluate)
    evaluate.add_argument(
        "--data", metavar="MANIFEST|DIR", type=Path, required=True, help="clips, with references in manifest.jsonl"
    )
    evaluate.add_argument(
        "--clips", metavar="N", type=int, default=DEFAULT_CLIPS, help="at most, of each corpus (default: %(default)s)"
    )
    evaluate.add_argument("--json", action="store_true", help="print JSON")
    evaluate.epilog = """manifest.jsonl has one clip a line, such as:
  {"file": "a.wav", "text": "what is said", "lang": "en", "corpus": "calls", "speaker": "anna"}"""


def _add(actions: Subparsers, name: str, text: str, run: object) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text, formatter_class=Help)
    parser.add_argument("model", metavar="NAME|DIR", help="a name from the list, org/name, or a folder")
    parser.add_argument("--model-dir", metavar="DIR", type=Path, help="folder that holds downloaded models")
    parser.set_defaults(run=run)
    return parser


def _verify(args: argparse.Namespace) -> int:
    from cohear_server.models.sources import SourceOptions
    from cohear_server.models.verify import verify_model

    found = verify_model(args.model, SourceOptions(args.model_dir, offline=True))
    if args.json:
        print_json({**asdict(found), "good": found.good}, indent=1)
    else:
        _show_verification(found)
    return 0 if found.good else 1


def _show_verification(found: Verification) -> None:
    print(f"{found.name}: {found.source}")
    for file in found.files:
        size = "-" if file.size_bytes is None else f"{file.size_bytes:,}"
        print(f"  {'ok   ' if file.fault is None else 'WRONG'} {file.name:<26}{size:>14}  {(file.sha256 or '-')[:16]}")
    if not found.pinned:
        print("no hashes are pinned for this model: its files are complete, more is not known")
    for file in found.files:
        if file.fault is not None:
            say(f"cohear: {file.fault}")
    if not found.good:
        say(f"cohear: {found.remedy}")


def _profile(args: argparse.Namespace) -> int:
    from cohear_server.engine.profile import profiles_dir
    from cohear_server.lab.profiling import make_profile
    from cohear_server.models.catalog import find_model
    from cohear_server.models.sources import SourceOptions

    found = find_model(args.model, options=SourceOptions(args.model_dir))
    name = found.name.replace("/", "--")
    outcome = make_profile(found.directory, name, args.audio, args.out or profiles_dir(), print)
    chosen = "short windows" if outcome.short_windows else "stays padded to 30 s"
    print(f"{found.name} {chosen}: {outcome.reason}")
    print(f"profile in {outcome.folder}")
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from cohear_server.lab.clips import read_clips
    from cohear_server.lab.evaluation import evaluate
    from cohear_server.models.catalog import find_model
    from cohear_server.models.sources import SourceOptions

    clips = read_clips(args.data)
    found = find_model(args.model, options=SourceOptions(args.model_dir))
    result = evaluate(found, clips, args.clips, say)
    if args.json:
        print_json(asdict(result), indent=1)
    else:
        _show_evaluation(result)
    return 0


def _show_evaluation(result: Evaluation) -> None:
    from cohear_server.lab.evaluation import HEADINGS, table

    lines: Sequence[Sequence[str]] = [HEADINGS, *table(result)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if not result.short_windows:
        print(f"{result.model} has no profile for short windows: every window is padded (cohear models profile)")
    if result.ece is not None:
        print(f"confidence is off by {result.ece:.3f} on average (expected calibration error, all sets)")
