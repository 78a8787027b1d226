"""A recording of ten hours through `cohear transcribe`: peak memory, speed, and whether its end is there.

    python bench/long_file.py --speech DIR [--hours 10] [--out bench/results/long_file.json]

The recording repeats the spoken clips of the folder with pauses of 0.3 to 4 s between them. It is written to disk in
blocks (FLAC, 16 kHz).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from kills import COHEAR
from speech import SAMPLE_RATE_HZ, Clip, circumstances, read_clips, write_result

PROMISE_MB = 600


def write_recording(path: Path, clips: Sequence[Clip], hours: float) -> float:
    """Write the recording; returns its length in seconds."""
    chance = np.random.default_rng(0)
    voices = [clip.pcm() for clip in clips]
    written = 0
    with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1, format="FLAC") as file:
        while written < hours * 3600 * SAMPLE_RATE_HZ:
            noise = chance.normal(0, 12, int(chance.uniform(0.3, 4.0) * SAMPLE_RATE_HZ)).astype(np.int16)
            for part in (voices[int(chance.integers(len(voices)))], noise):
                file.write(part)
                written += len(part)
    return written / SAMPLE_RATE_HZ


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--speech", type=Path, required=True, metavar="DIR", help="folder with a manifest.jsonl")
    parser.add_argument("--hours", type=float, default=10.0, help="(default: %(default)s)")
    parser.add_argument("--format", default="all", help="outputs (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="result file")
    args = parser.parse_args()
    clips = [clip for clip in read_clips(args.speech) if clip.lang == "en" and clip.reference]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        audio_s = write_recording(folder / "long.flac", clips, args.hours)
        begun_s = time.monotonic()
        run = [
            *COHEAR,
            "transcribe",
            str(folder / "long.flac"),
            "--format",
            args.format,
            "--no-cache",
            "--language",
            "en",
        ]
        subprocess.run([*run, "--output-dir", str(folder / "out"), "--report", str(folder / "report.json")], check=True)
        took_s = time.monotonic() - begun_s
        peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        report = json.loads((folder / "report.json").read_text())
        lines = (folder / "out" / "long.tsv").read_text().splitlines() if args.format == "all" else []
    last_s = float(lines[-1].split("\t")[1]) / 1000 if lines else 0.0
    result = {
        "benchmark": "long_file",
        **circumstances(),
        "audio_s": round(audio_s, 1),
        "peak_mb": round(peak_mb, 1),
        "promise_mb": PROMISE_MB,
        "elapsed_s": round(took_s, 1),
        "speed": round(audio_s / took_s, 1),
        "segments": report["files"][0]["segments"],
        "last_segment_ends_s": last_s,
    }
    print(json.dumps({name: result[name] for name in ("audio_s", "peak_mb", "speed", "segments")}))
    if args.out:
        write_result(args.out, result)
    return 0 if peak_mb < PROMISE_MB else 1


if __name__ == "__main__":
    sys.exit(main())
