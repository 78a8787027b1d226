"""Counts what is lost or half written when `cohear transcribe` is killed.

    python bench/kills.py --speech DIR [--kills 20] [--out bench/results/kills.json]

A run over a folder is killed (SIGKILL) at a random moment and started again, `--kills` times. When a run finishes the
folder, outputs and cache are removed, and the next run begins from nothing. After each kill, every output file must be
byte for byte that of a run that was not killed. When a run finishes, all outputs must be there, and nothing else.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speech import choose, circumstances, read_clips, write_result

COHEAR = [sys.executable, "-c", "import sys; from cohear_cli import main; sys.exit(main())"]


@dataclass(slots=True)
class Tally:
    kills: int = 0
    laps: int = 0
    """runs that finished the folder"""
    partial: list[str] = field(default_factory=list)
    """incomplete outputs that were found after a kill"""
    different: list[str] = field(default_factory=list)
    """outputs that were wrong, missing or unexpected when the folder was finished"""
    outputs_at_kill: list[int] = field(default_factory=list)


def command(audio: Path, work: Path, flags: Sequence[str] = ()) -> list[str]:
    """The run that is killed; it writes to `work`/out and remembers in `work`/cache."""
    fixed = ["--format", "all", "--quiet", "--output-dir", str(work / "out"), "--cache-dir", str(work / "cache")]
    return [*COHEAR, "transcribe", str(audio), *fixed, *flags]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` that is not hidden."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def hunt(audio: Path, scratch: Path, kills: int, flags: Sequence[str] = (), seed: int = 0) -> Tally:
    """Kill runs over `audio` at random moments, `kills` of them, and finish the last one."""
    chance, tally = random.Random(seed), Tally()
    begun_s = time.monotonic()
    subprocess.run(command(audio, scratch / "whole", flags), check=True)
    whole_s = time.monotonic() - begun_s
    truth = contents(scratch / "whole" / "out")
    work = scratch / "killed"
    while tally.kills < kills:
        if _killed(command(audio, work, flags), chance.uniform(0.2, 0.9) * whole_s):
            tally.kills += 1
            seen = contents(work / "out") if (work / "out").is_dir() else {}
            tally.outputs_at_kill.append(len(seen))
            tally.partial += [name for name, data in seen.items() if truth.get(name) != data]
        else:
            _finish(work, truth, tally)
    subprocess.run(command(audio, work, flags), check=True)
    _finish(work, truth, tally)
    return tally


def _killed(run: Sequence[str], after_s: float) -> bool:
    """Run a command and kill it after `after_s`; False if it ended before."""
    with subprocess.Popen(run) as process:
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return True
    return False


def _finish(work: Path, truth: dict[str, bytes], tally: Tally) -> None:
    found = contents(work / "out")
    tally.laps += 1
    tally.different += sorted(name for name in truth.keys() | found.keys() if truth.get(name) != found.get(name))
    tally.different += [path.name for path in (work / "out").rglob(".*.part")]
    shutil.rmtree(work)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--speech", type=Path, required=True, metavar="DIR", help="folder with a manifest.jsonl")
    parser.add_argument("--clips", type=int, default=30, help="files in the folder (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="result file")
    args = parser.parse_args()
    spoken = [clip for clip in read_clips(args.speech) if clip.lang == "en" and clip.seconds > 5]
    with tempfile.TemporaryDirectory() as folder:
        audio = Path(folder) / "audio"
        audio.mkdir()
        for clip in choose(spoken, args.clips):
            shutil.copy(clip.path, audio)
        tally = hunt(audio, Path(folder), args.kills)
    good = not tally.partial and not tally.different
    print(
        f"{tally.kills} kills, {tally.laps} runs to the end: {len(tally.partial)} partial, {len(tally.different)} wrong"
    )
    if args.out:
        counts = {"kills": tally.kills, "laps": tally.laps, "outputs_at_kill": tally.outputs_at_kill}
        faults = {"partial": tally.partial, "different": tally.different}
        write_result(args.out, {"benchmark": "kills", **circumstances(), "files": args.clips, **counts, **faults})
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
