"""Files: audio seconds a second and word error, beside faster-whisper's batched pipeline and whisper-ctranslate2.

    python bench/files.py --speech DIR [--ctranslate2 PATH] [--rounds 3] [--out bench/results/files.json]

Two sets of real recordings: clips of 2 to 30 s, and recordings of minutes. Every system has the same weights (int8,
greedy) and runs in a fresh process, one after another in each round. The first round tries several batch sizes and
thread counts for the rival; its best are kept. Speeds are medians with their range. Results are written after each run,
and a benchmark that was stopped continues from them. Then subtitles of the recordings are checked: order, limits, and
drift against the true times.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cohear_server.models.catalog import find_model
from cohear_server.models.sources import SourceOptions
from filesystems import Settings, run
from marks import fill_in, measured_on, table
from speech import (
    Clip,
    choose,
    circumstances,
    error_rate,
    flags,
    rate_difference,
    read_clips,
    word_errors,
    write_result,
)
from subtitlecheck import check_subtitles

CLIP_S = (2.0, 30.0)
BATCH_SIZES, THREADS = (8, 16), (1, 2)
PAIRS = {"cohear": "batched", "cohear-cli": "ctranslate2-cli"}
"""our system -> the rival that is started in the same way"""


def main() -> int:
    args = _parse()
    sets = _sets(args.speech, args.clips)
    systems = ["cohear", "batched"]
    if args.ctranslate2 is not None:
        systems += ["cohear-cli", "ctranslate2-cli"]
    found = find_model(args.model, options=SourceOptions())
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings((), str(_with_preprocessor(found.directory, Path(folder))), workers=args.workers)
        settings = replace(settings, command=str(args.ctranslate2 or ""))
        runs = _Runs(args.out, {"model": args.model, "clips": args.clips, "systems": systems})
        for name, clips in sets.items():
            for number in range(args.rounds):
                for system in systems if number % 2 == 0 else systems[::-1]:
                    _measure(runs, system, (name, number), clips, settings)
    result = {"benchmark": "files", **circumstances(), "model": args.model, "rounds": args.rounds}
    result |= {"sets": {name: _summary(runs, name, clips, systems) for name, clips in sets.items()}}
    for name in sets:
        result[f"ratio_{name}"] = min(result["sets"][name]["ratios"].values())
    if not args.no_subtitles:
        chapters = [clip for clip in sets["long"] if clip.seconds > 300]
        result["subtitles"] = [check_subtitles(clip.path, args.speech, args.model) for clip in chapters]
    result["runs"] = runs.rows
    if args.out:
        write_result(args.out, result)
    if args.page:
        fill_in(args.page, "bench/files.py", section(result))
    show(result)
    return 0


def _parse() -> argparse.Namespace:
    parser = flags(__doc__, clips=60)
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of ours (default: %(default)s)")
    parser.add_argument("--ctranslate2", type=Path, metavar="PATH", help="the command whisper-ctranslate2")
    parser.add_argument("--page", type=Path, metavar="FILE", help="also put the table between its marks")
    parser.add_argument("--no-subtitles", action="store_true", help="speeds and word error only")
    return parser.parse_args()


def _sets(speech: Path, count: int) -> dict[str, list[Clip]]:
    clips = [clip for clip in read_clips(speech, long=True) if clip.lang == "en" and clip.reference]
    short = [clip for clip in clips if clip.corpus != "long" and CLIP_S[0] <= clip.seconds <= CLIP_S[1]]
    return {"clips": choose(short, count), "long": [clip for clip in clips if clip.seconds > 60]}


def _with_preprocessor(model: Path, folder: Path) -> Path:
    """One folder with links to the model's files, because the rivals want one folder."""
    for file in model.iterdir():
        if file.is_file():
            (folder / file.name).symlink_to(file.resolve())
    return folder


class _Runs:
    """Rows of finished runs; each is written to the result file at once."""

    def __init__(self, out: Path | None, terms: dict[str, Any]) -> None:
        self._out = out.with_suffix(".partial.json") if out else None
        self._terms = terms
        self.rows: list[dict[str, Any]] = []
        if self._out is not None and self._out.is_file():
            kept = json.loads(self._out.read_text())
            if kept["terms"] == terms:
                self.rows = kept["runs"]

    def of(self, name: str, system: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["set"] == name and row["system"] == system]

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        if self._out is not None:
            write_result(self._out, {"terms": self._terms, "runs": self.rows})


def _measure(runs: _Runs, system: str, turn: tuple[str, int], clips: Sequence[Clip], settings: Settings) -> None:
    name, number = turn
    if any(row["round"] == number for row in runs.of(name, system) if not row.get("trial")):
        return
    settings = replace(settings, files=tuple(str(clip.path) for clip in clips))
    tunable = not system.startswith("cohear")
    if tunable and number == 0:
        for size, threads in itertools.product(BATCH_SIZES, THREADS):
            tried = {(row["batch_size"], row["threads"]) for row in runs.of(name, system)}
            if (size, threads) not in tried:
                _one(runs, system, (name, number, True), clips, replace(settings, batch_size=size, threads=threads))
        best = _best(runs, name, system)
        best["trial"] = False
        return
    if tunable:
        best = _best(runs, name, system)
        settings = replace(settings, batch_size=best["batch_size"], threads=best["threads"])
    _one(runs, system, (name, number, False), clips, settings)


def _best(runs: _Runs, name: str, system: str) -> dict[str, Any]:
    return max((row for row in runs.of(name, system) if row["round"] == 0), key=lambda row: row["speed"])


def _one(
    runs: _Runs, system: str, turn: tuple[str, int, bool], clips: Sequence[Clip], settings: Settings
) -> dict[str, Any]:
    name, number, trial = turn
    outcome = run(system, settings)
    audio_s = sum(clip.seconds for clip in clips)
    errors = [word_errors(clip.reference, outcome.texts.get(str(clip.path), ""), "en") for clip in clips]
    row = {
        "set": name,
        "system": system,
        "round": number,
        "trial": trial,
        "batch_size": settings.batch_size,
        "threads": settings.threads,
        "seconds": round(outcome.seconds, 2),
        "speed": round(audio_s / outcome.seconds, 2),
        "audio_s_per_cpu_s": round(audio_s / outcome.cpu_s, 2),
        "peak_mb": round(outcome.peak_mb),
        "errors": [[one.words, one.errors] for one in errors],
    }
    runs.add(row)
    what = f"b{row['batch_size']} t{row['threads']}" if not system.startswith("cohear") else ""
    print(
        f"{name:<6}{system:<16}round {number} {what:<7}{row['speed']:>7.1f}x  "
        f"{row['audio_s_per_cpu_s']:>6.1f}x a CPU second  {row['peak_mb']:>5} MB  "
        f"word error {100 * sum(e.errors for e in errors) / sum(e.words for e in errors):.2f} %",
        flush=True,
    )
    return row


def _summary(runs: _Runs, name: str, clips: Sequence[Clip], systems: Sequence[str]) -> dict[str, Any]:
    rows = {system: [row for row in runs.of(name, system) if not row["trial"]] for system in systems}
    errors = {system: [_errors(pair) for pair in rows[system][-1]["errors"]] for system in systems}
    median = {system: statistics.median(row["speed"] for row in rows[system]) for system in systems}
    pairs = {ours: theirs for ours, theirs in PAIRS.items() if theirs in systems}
    return {
        "files": len(clips),
        "audio_s": round(sum(clip.seconds for clip in clips), 1),
        "speed": {
            system: {
                "median": median[system],
                "range": [min(row["speed"] for row in rows[system]), max(row["speed"] for row in rows[system])],
                "audio_s_per_cpu_s": statistics.median(row["audio_s_per_cpu_s"] for row in rows[system]),
                "peak_mb": max(row["peak_mb"] for row in rows[system]),
                "batch_size": rows[system][-1]["batch_size"],
                "threads": rows[system][-1]["threads"],
            }
            for system in systems
        },
        "ratios": {f"{ours} / {theirs}": round(median[ours] / median[theirs], 2) for ours, theirs in pairs.items()},
        "word_error": {system: error_rate(errors[system]) for system in systems},
        "difference": {
            f"{ours} - {theirs}": rate_difference(errors[ours], errors[theirs]) for ours, theirs in pairs.items()
        },
    }


def _errors(pair: Sequence[int]) -> Any:
    from speech import Errors

    return Errors(*pair)


def section(result: dict[str, Any]) -> str:
    """The table of docs/files.md: speed and word error of each system on each set."""
    sets = result["sets"]
    head = ("audio seconds a second (word error)", *(f"{one['files']} {name}" for name, one in sets.items()))
    rows = [
        (
            f"`{system}`",
            *(
                f"{one['speed'][system]['median']:.0f} ({one['word_error'][system]['wer_percent']:.1f} %)"
                for one in sets.values()
            ),
        )
        for system in next(iter(sets.values()))["speed"]
    ]
    return f"{measured_on(result)}; {result['model']}, {result['rounds']} rounds.\n\n{table([head, *rows])}"


def show(result: dict[str, Any]) -> None:
    for name, one in result["sets"].items():
        print(f"\n{name}: {one['files']} files, {one['audio_s'] / 60:.1f} minutes")
        for system, speed in one["speed"].items():
            low, high = speed["range"]
            error = one["word_error"][system]["wer_percent"]
            print(f"  {system:<16}{speed['median']:>7.1f}x ({low:.1f} to {high:.1f})   word error {error:.2f} %")
        for pair, ratio in one["ratios"].items():
            print(f"  {pair}: {ratio}")
    for one in result.get("subtitles", []):
        print(f"subtitles of {one['file']}: {one['cues']} cues, drift {one['drift_s']:+.3f} s, {one['faults']} faults")


if __name__ == "__main__":
    sys.exit(main())
