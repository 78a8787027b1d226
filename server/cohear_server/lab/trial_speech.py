"""Reads the speech that a model is measured with: a folder, with or without a manifest, or a manifest.

manifest.jsonl has one clip on each line: `file` (relative to the manifest) and, where they are known, `lang` (ISO
639-1) and the reference, `norm` or `text`. A clip with an empty reference holds no speech and is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from ..core.jobs import SAMPLE_RATE_HZ, Pcm
from ..errors import ClientError
from .trials import Utterance

SUFFIXES = frozenset({".flac", ".wav", ".ogg", ".mp3"})
SECONDS = (1.0, 15.0)
"""length of a clip: shorter ones are digits and letters, which have many spellings"""
MOST = 100
"""most clips that are read, spread evenly over all"""


def read_speech(audio: Path) -> list[Utterance]:
    """Up to MOST clips in mixed order, the same each time. Raises ClientError(`bad_audio`)."""
    try:
        rows = [row for row in clip_rows(audio) if _spoken(row) and _suits(row["file"])]
        order = np.random.default_rng(0).permutation(len(rows))[:MOST]
        return [_utterance(rows[i]) for i in order]
    except (OSError, ValueError, KeyError, TypeError, soundfile.LibsndfileError) as fault:
        raise ClientError(
            "bad_audio", f"the speech in {audio} cannot be read: {fault}", "give a folder of clips, or a manifest.jsonl"
        ) from fault


def clip_rows(audio: Path) -> Iterator[dict[str, Any]]:
    """The manifest's row of each clip; `file` is its path. Raises what reading and parsing a manifest raise."""
    manifest = audio if audio.is_file() else audio / "manifest.jsonl"
    if not manifest.is_file():
        for path in sorted(audio.rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                yield {"file": path}
        return
    for line in manifest.read_text().splitlines():
        if line.strip():
            row = json.loads(line)
            yield {**row, "file": manifest.parent / row["file"]}


def _spoken(row: dict[str, Any]) -> bool:
    return bool(row.get("norm", row.get("text")) != "")


def _suits(path: Path) -> bool:
    shortest, longest = SECONDS
    return bool(shortest <= soundfile.info(path).duration <= longest)


def _utterance(row: dict[str, Any]) -> Utterance:
    language = row.get("lang")
    reference = row.get("norm", row.get("text"))
    return Utterance(read_pcm(row["file"]), str(language)[:2] if language else None, reference)


def read_pcm(path: Path) -> Pcm:
    """A file's audio as int16 mono at 16 kHz."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    wave = samples.mean(axis=1)
    if rate_hz != SAMPLE_RATE_HZ:
        wave = soxr.resample(wave, rate_hz, SAMPLE_RATE_HZ)
    return np.asarray((wave * 32767).round().clip(-32768, 32767), np.int16)
