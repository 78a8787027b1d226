"""Word error and cost of each model, in short and in padded windows, by kind of speech: the table of models/README.md.

    python bench/eval.py --speech DIR [--clips 60] [--model NAME ...] [--out FILE] [--readme models/README.md]

Models that are not named keep their figures in the result file. `lab.evaluation` does the measuring; `cohear models
eval` does the same on any speech.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `cohear` does; idle threads of numpy would count as cost

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cohear_server.lab.clips import Clip, choose, grouped, read_clips
from cohear_server.lab.evaluation import HEADINGS, Evaluation, SetResult, evaluate, known, load, table
from cohear_server.lab.scoring import ErrorRate
from cohear_server.models.catalog import find_model
from cohear_server.models.sources import SourceOptions
from cohear_server.models.weights import ModelFiles
from marks import fill_in
from speech import circumstances, write_result
from word_starts import median_apart_ms

TIMED_CLIPS, TIMED_S = 30, (2.0, 20.0)
"""clips whose word starts are compared, and how long they are"""


def main() -> int:
    args = _parse()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("eval: CPU times count idle threads of numpy too: OMP_NUM_THREADS=1 (make eval)", file=sys.stderr)
    models = json.loads(args.out.read_text())["models"] if args.out.is_file() else {}
    clips = read_clips(args.speech)
    for name in args.model or ["tiny.en", "base"]:
        print(name)
        files = find_model(name, options=SourceOptions())
        measured = asdict(evaluate(files, clips, args.clips, print)) | {"word_start_ms": word_start_ms(files, clips)}
        models[name] = {"clips_a_set": args.clips, **circumstances(), **measured}
        write_result(args.out, {"benchmark": "models", "models": models})
        if args.readme:
            tables = [section(evaluation(data), data["word_start_ms"]) for data in models.values()]
            fill_in(args.readme, "bench/eval.py", "\n\n".join(tables))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--speech", type=Path, required=True, metavar="DIR", help="folder with a manifest.jsonl")
    parser.add_argument("--clips", type=int, default=60, help="at most, of each corpus (default: %(default)s)")
    parser.add_argument("--model", action="append", help="may be repeated (default: tiny.en and base)")
    parser.add_argument("--out", type=Path, default=Path("bench/results/models.json"), help="(default: %(default)s)")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="also put the tables between its marks")
    return parser.parse_args()


def word_start_ms(files: ModelFiles, clips: Sequence[Clip]) -> float | None:
    """Median distance of word starts from padded faster-whisper's, on clips that hold several words."""
    engine = load(files)
    spoken = [c for c in known(clips, engine) if c.reference and TIMED_S[0] <= c.seconds <= TIMED_S[1]]
    corpora = grouped(spoken).values()
    chosen = [c for members in corpora for c in choose(members, TIMED_CLIPS // len(corpora))]
    return median_apart_ms(engine, files.directory, chosen)


def evaluation(data: Mapping[str, Any]) -> Evaluation:
    """The evaluation of which `asdict` made `data`."""
    sets = tuple(
        SetResult(**{**row, "wer_short": _rate(row["wer_short"]), "wer_padded": _rate(row["wer_padded"])})
        for row in data["sets"]
    )
    return Evaluation(data["model"], data["short_windows"], sets, data["ece"])


def _rate(data: Mapping[str, float] | None) -> ErrorRate | None:
    return ErrorRate(**data) if data else None


def section(result: Evaluation, word_start_ms: float | None) -> str:
    """A model's table in Markdown."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *table(result)]
    notes = []
    if result.ece is not None:
        notes.append(f"calibration error over all sets {result.ece:.3f}")
    if word_start_ms is not None:
        notes.append(f"word starts {word_start_ms:g} ms (median) from padded faster-whisper's")
    note = "; ".join(notes)
    return "\n".join(
        [f"### {result.model}", "", *(f"| {' | '.join(row)} |" for row in rows), "", f"{note}.".capitalize()]
    )


if __name__ == "__main__":
    sys.exit(main())
