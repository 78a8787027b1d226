"""Transcripts as files: txt, srt, vtt, tsv and json, in the shapes that openai-whisper made usual.

A file is written beside its final name and then renamed: what has the name is always whole.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import ClientError
from ..protocol import Final
from ..transcript import UNSPACED, Transcript
from .subtitles import srt, vtt


def txt(transcript: Transcript) -> str:
    """One segment a line."""
    return "".join(_line(s.text) + "\n" for s in transcript.segments)


def tsv(transcript: Transcript) -> str:
    """Start and end in ms, and text, with a heading."""
    rows = (f"{round(s.start_s * 1000)}\t{round(s.end_s * 1000)}\t{_line(s.text)}\n" for s in transcript.segments)
    return "start\tend\ttext\n" + "".join(rows)


def as_json(transcript: Transcript) -> str:
    """`text`, `language`, and `segments` with their words; times in seconds."""
    whole = {
        "text": transcript.text,
        "language": transcript.language,
        "segments": [_segment(number, s) for number, s in enumerate(transcript.segments)],
    }
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


FORMATS: dict[str, Callable[[Transcript], str]] = {"txt": txt, "srt": srt, "vtt": vtt, "tsv": tsv, "json": as_json}


def write_all(transcript: Transcript, names: Iterable[str], stem: Path) -> list[Path]:
    """Write each format to `stem` + its suffix. Raises ClientError (`cannot_write`)."""
    written = []
    for name in names:
        path = stem.with_name(f"{stem.name}.{name}")
        write_atomically(path, FORMATS[name](transcript))
        written.append(path)
    return written


def write_atomically(path: Path, text: str) -> None:
    """Make `path` hold `text`, or leave it as it was. Raises ClientError (`cannot_write`)."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with contextlib.ExitStack() as undo:
            undo.callback(part.unlink, missing_ok=True)
            part.write_text(text, encoding="utf-8")
            os.replace(part, path)
    except OSError as fault:
        raise ClientError(
            "cannot_write", f"{path}: cannot be written ({fault.strerror})", "choose another --output-dir"
        ) from fault


def stems(files: Iterable[Path], folder: Path) -> dict[Path, Path]:
    """Where the outputs of each file go: named for it without its suffix, or with it where two would collide.

    Raises ClientError (`same_name`) for files that even then are one.
    """
    files = list(files)
    short = [file.stem for file in files]
    made = {f: folder / (f.stem if short.count(f.stem) == 1 else f.name) for f in files}
    if len(set(made.values())) < len(files):
        twice = next(f for n, f in enumerate(files) if any(made[f] == made[other] for other in files[:n]))
        raise ClientError(
            "same_name", f"{twice}: another file's outputs have the same name", "transcribe it in a run of its own"
        )
    return made


def _segment(number: int, segment: Final) -> dict[str, Any]:
    glue = "" if segment.language in UNSPACED else " "
    return {
        "id": number,
        "start": round(segment.start_s, 3),
        "end": round(segment.end_s, 3),
        "text": glue + segment.text.strip(),
        "confidence": round(segment.confidence, 4),
        "words": [
            {
                "word": glue + word.text.strip(),
                "start": round(word.start_s, 3),
                "end": round(word.end_s, 3),
                "probability": round(word.confidence, 4),
            }
            for word in segment.words
        ],
    }


def _line(text: str) -> str:
    return " ".join(text.split())
