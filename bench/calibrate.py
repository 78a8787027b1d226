"""Fits a model's word confidence to how often words are right, and puts it into the model's profile.

    python bench/calibrate.py --train DIR --speech DIR --model NAME [--clips 360] [--dry-run]

`--train` is speech to fit on, `--speech` that of other speakers to measure on; both are folders with a manifest.jsonl.
Words come from greedy finals in short windows. A word is right if an alignment puts it against the same word of the
reference, both normalised as Whisper does.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `cohear` does; idle threads of numpy would count as cost

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cohear_server.engine.calibration import BINS, Calibration, calibration_error, fit
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.profile import profiles_dir
from cohear_server.lab.clips import Clip, choose, grouped, read_clips
from cohear_server.lab.evaluation import ClipReading, hear, known, load
from cohear_server.models.catalog import find_model
from cohear_server.models.sources import SourceOptions

NOT_FITTED = frozenset({"long", "fsdd"})
"""long recordings repeat other clips; single digits over a telephone resemble nothing in the training speech"""


@dataclass(frozen=True, slots=True)
class Rated:
    """Words as the decoder rates them."""

    probabilities: list[float]
    right: list[bool]
    speakers: int

    def error(self, calibration: Calibration | None = None) -> float:
        p = [calibration.apply(x) for x in self.probabilities] if calibration else self.probabilities
        return round(calibration_error(p, self.right), 4)


def main() -> int:
    args = _parse()
    engine = load(find_model(args.model, options=SourceOptions()))
    if engine.profile is None:
        raise SystemExit(f"{args.model} has no profile: cohear models profile {args.model} --audio DIR")
    engine.profile = replace(engine.profile, calibration=None)
    fitted = rate(decode(engine, args.train, args.clips))
    calibration = fit(fitted.probabilities, fitted.right)
    heard = decode(engine, args.speech, args.clips)
    tested = rate(heard)
    show(heard, tested, calibration)
    if not args.dry_run:
        store(profiles_dir() / args.model / "profile.toml", calibration, fitted, tested)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--train", type=Path, required=True, metavar="DIR", help="speech to fit on")
    parser.add_argument("--speech", type=Path, required=True, metavar="DIR", help="speech of others, to measure on")
    parser.add_argument("--model", default="tiny.en", help="(default: %(default)s)")
    parser.add_argument("--clips", type=int, default=360, help="of each folder (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="show figures, leave the profile as it is")
    return parser.parse_args()


def decode(engine: WhisperEngine, folder: Path, count: int) -> list[ClipReading]:
    """Decoded clips of a folder, the same number of each group."""
    clips = [clip for clip in known(read_clips(folder), engine) if clip.reference]
    groups: dict[str, list[Clip]] = {n: c for n, c in grouped(clips).items() if n not in NOT_FITTED}
    return [hear(engine, engine.profile, choose(members, count // len(groups))) for members in groups.values()]


def rate(heard: Sequence[ClipReading]) -> Rated:
    rated = [one.rated() for one in heard]
    speakers = {clip.speaker for one in heard for clip in one.clips}
    return Rated([p for ps, _ in rated for p in ps], [r for _, rs in rated for r in rs], len(speakers))


def show(heard: Sequence[ClipReading], tested: Rated, calibration: Calibration) -> None:
    print(f"slope {calibration.slope:g}, offset {calibration.offset:g}")
    print(f"{'set':<18}{'words':>6}{'right':>7}{'before':>8}{'after':>8}   calibration error")
    for name, rated in [*((one.clips[0].group, rate([one])) for one in heard), ("all", tested)]:
        share = sum(rated.right) / max(1, len(rated.right))
        print(f"{name:<18}{len(rated.right):>6}{share:>7.3f}{rated.error():>8.3f}{rated.error(calibration):>8.3f}")
    places = " ".join(f"{p:g}->{calibration.apply(p):.3f}" for p in (0.1, 0.3, 0.5, 0.8, 0.9, 0.95, 0.99, 1))
    print(f"probabilities {places}")


def store(path: Path, calibration: Calibration, fitted: Rated, tested: Rated) -> None:
    """Replace the table [calibration]; the rest of the file does not change."""
    values = {
        "slope": calibration.slope,
        "offset": calibration.offset,
        "fitted_words": len(fitted.right),
        "fitted_speakers": fitted.speakers,
        "tested_words": len(tested.right),
        "tested_speakers": tested.speakers,
        "bins": BINS,
        "ece_before": tested.error(),
        "ece_after": tested.error(calibration),
    }
    tables = path.read_text().split("\n[")
    kept = [table.rstrip() for table in tables if not table.startswith("calibration]")]
    entries = "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
    path.write_text("\n\n[".join([*kept, f"calibration]\n{entries}"]) + "\n")


if __name__ == "__main__":
    sys.exit(main())
