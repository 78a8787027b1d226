"""Shared by benchmarks: clips of a speech folder, Whisper's text normaliser, pooled word error with its interval.

A speech folder has `manifest.jsonl`, one clip a line: file, seconds, norm (the reference), lang, corpus, speaker.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
RESAMPLES = 2_000
PACKAGES = ("cohear", "faster-whisper", "ctranslate2", "numpy", "onnxruntime")


@dataclass(frozen=True, slots=True)
class Clip:
    path: Path
    corpus: str
    speaker: str
    lang: str
    reference: str
    seconds: float

    def pcm(self) -> NDArray[np.int16]:
        """int16 mono at 16 kHz."""
        pcm, rate_hz = sf.read(self.path, dtype="int16")
        return np.asarray(pcm if rate_hz == SAMPLE_RATE_HZ else soxr.resample(pcm, rate_hz, SAMPLE_RATE_HZ), np.int16)


def flags(script: str | None, *, clips: int) -> argparse.ArgumentParser:
    """The flags that most benchmarks have, and so many clips by default; `script` is the docstring of the script."""
    parser = argparse.ArgumentParser(description=(script or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--speech", type=speech_folder, required=True, metavar="DIR", help="folder with manifest.jsonl")
    parser.add_argument("--clips", type=int, default=clips, help="how many (default: %(default)s)")
    parser.add_argument("--model", default="tiny.en", help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the result there")
    return parser


def speech_folder(text: str) -> Path:
    """The value of `--speech`."""
    folder = Path(text)
    if not (folder / "manifest.jsonl").is_file():
        raise argparse.ArgumentTypeError(f"{folder} has no manifest.jsonl; see bench/README.md")
    return folder


def read_clips(folder: Path, *, long: bool = False) -> list[Clip]:
    """All clips in the manifest's order; recordings of minutes (in `long/`) only if asked for."""
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines() if line]
    clips = [
        Clip(
            folder / row["file"],
            "long" if row["file"].startswith("long/") else row["corpus"],
            row["speaker"] or "",
            (row["lang"] or "")[:2],
            row["norm"],
            row["seconds"],
        )
        for row in rows
    ]
    return [clip for clip in clips if long or clip.corpus != "long"]


def choose(clips: Sequence[Clip], count: int) -> list[Clip]:
    """`count` clips, the same each time, spread evenly over corpora and, within a corpus, over speakers."""
    speakers: defaultdict[str, defaultdict[str, list[Clip]]] = defaultdict(lambda: defaultdict(list))
    for clip in clips:
        speakers[clip.corpus][clip.speaker].append(clip)
    corpora = [in_turn(list(groups.values())) for groups in speakers.values()]
    return in_turn(corpora)[:count]


def in_turn(groups: Sequence[Sequence[Clip]]) -> list[Clip]:
    rounds = max((len(group) for group in groups), default=0)
    return [group[i] for i in range(rounds) for group in groups if i < len(group)]


def normalise(text: str, lang: str) -> str:
    return _normaliser(lang)(text)


@cache
def _normaliser(lang: str) -> Callable[[str], str]:
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    made: Callable[[str], str] = EnglishTextNormalizer() if lang == "en" else BasicTextNormalizer()
    return made


@dataclass(frozen=True, slots=True)
class Errors:
    """Word errors of one clip."""

    words: int
    errors: int


def word_errors(reference: str, hypothesis: str, lang: str) -> Errors:
    reference, hypothesis = normalise(reference, lang), normalise(hypothesis, lang)
    if not reference:
        return Errors(0, len(hypothesis.split()))
    found = jiwer.process_words(reference, hypothesis)
    return Errors(len(reference.split()), found.substitutions + found.deletions + found.insertions)


def error_rate(clips: Sequence[Errors]) -> dict[str, Any]:
    """Pooled word error rate in percent, with its 95 % interval (bootstrap over clips)."""
    counts = np.array([(clip.words, clip.errors) for clip in clips], float)
    words, errors = counts.sum(axis=0)
    low, high = _interval(counts, lambda drawn: 100 * drawn[:, :, 1].sum(1) / drawn[:, :, 0].sum(1))
    return {
        "clips": len(clips),
        "words": int(words),
        "wer_percent": round(100 * errors / words, 2),
        "interval_percent": [low, high],
    }


def rate_difference(ours: Sequence[Errors], theirs: Sequence[Errors]) -> dict[str, Any]:
    """Our word error rate less theirs, in points, with its 95 % interval (bootstrap; both on the same drawn clips)."""
    counts = np.array([(a.words, a.errors - b.errors) for a, b in zip(ours, theirs, strict=True)], float)
    words, errors = counts.sum(axis=0)
    low, high = _interval(counts, lambda drawn: 100 * drawn[:, :, 1].sum(1) / drawn[:, :, 0].sum(1))
    return {"points": round(100 * errors / words, 2), "interval_points": [low, high]}


def _interval(
    counts: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> tuple[float, float]:
    drawn = counts[np.random.default_rng(0).integers(0, len(counts), (RESAMPLES, len(counts)))]
    low, high = np.percentile(statistic(drawn), [2.5, 97.5])
    return round(float(low), 2), round(float(high), 2)


def circumstances() -> dict[str, Any]:
    """Machine, versions and date, for every result file."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "system": platform.platform()},
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES},
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def write_result(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
