"""Transcripts as files: txt, srt, vtt, tsv and json, in the shapes that openai-whisper made usual.

A file is written beside its final name and then renamed: what has the name is always whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cohear_client.errors import ClientError
from cohear_client.protocol import Final
from cohear_client.subtitles import STANDARD, SubtitleOptions, srt, vtt
from cohear_client.transcript import Statistics, Transcript
from cohear_client.writing import lead

FULL = (errno.ENOSPC, errno.EDQUOT)


def txt(transcript: Transcript) -> str:
    """One segment a line."""
    return "".join(_line(s.text) + "\n" for s in transcript.segments)


def tsv(transcript: Transcript) -> str:
    """Start and end in ms, and text, with a heading."""
    rows = (f"{round(s.start_s * 1000)}\t{round(s.end_s * 1000)}\t{_line(s.text)}\n" for s in transcript.segments)
    return "start\tend\ttext\n" + "".join(rows)


def as_json(transcript: Transcript) -> str:
    """`text`, `language`, and `segments` with their words and statistics; times in seconds."""
    statistics = transcript.statistics or (None,) * len(transcript.segments)
    # segment by segment: all of ten hours as one tree takes 100 MB
    segments = ",".join(
        "\n    " + _json(_segment(number, *pair)).replace("\n", "\n    ")
        for number, pair in enumerate(zip(transcript.segments, statistics, strict=True))
    )
    fields = {"text": _json(transcript.text), "segments": f"[{segments}\n  ]" if segments else "[]"}
    fields["language"] = _json(transcript.language)
    return "{\n" + ",\n".join(f"  {_json(name)}: {value}" for name, value in fields.items()) + "\n}\n"


NAME_BYTES = 255
FORMATS = ("txt", "srt", "vtt", "tsv", "json")
PART = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.part")


def render(transcript: Transcript, name: str, options: SubtitleOptions = STANDARD) -> str:
    """The text of a file in the format of that name."""
    match name:
        case "srt":
            return srt(transcript, options)
        case "vtt":
            return vtt(transcript, options)
    return {"txt": txt, "tsv": tsv, "json": as_json}[name](transcript)


def output_paths(stem: Path, names: Iterable[str]) -> list[Path]:
    """Where `write_all` writes."""
    return [stem.with_name(_fitting(stem.name, f".{name}")) for name in names]


def write_all(
    transcript: Transcript, names: Iterable[str], stem: Path, options: SubtitleOptions = STANDARD
) -> list[Path]:
    """Write each format to `stem` + its suffix. Raises ClientError (`cannot_write`)."""
    names = list(names)
    paths = output_paths(stem, names)
    for name, path in zip(names, paths, strict=True):
        write_atomically(path, render(transcript, name, options))
    return paths


def check_name(path: Path) -> None:
    """Raises ClientError(`cannot_write`) for what no file can be."""
    if path.is_dir():
        raise ClientError("cannot_write", f"{path}: is a folder", "name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise _unwritten(path, fault) from fault


def write_atomically(path: Path, text: str) -> None:
    """Make `path` hold `text`, on the disk, or leave it as it was. Raises ClientError (`cannot_write`)."""
    part = path.with_name(_fitting(f".{path.name}", f".{os.getpid()}.part"))
    data = text.encode("utf-8", "replace")
    try:
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as undo:
            undo.callback(part.unlink, missing_ok=True)
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
    except OSError as fault:
        raise _unwritten(path, fault) from fault


def _unwritten(path: Path, fault: OSError) -> ClientError:
    remedy = "make room on the disk" if fault.errno in FULL else "choose another name or folder"
    return ClientError("cannot_write", f"{path}: cannot be written ({fault.strerror})", remedy)


def remove_parts(folders: Iterable[Path]) -> int:
    """Remove what killed runs left half written in these folders; how many files that were."""
    removed = 0
    for folder in set(folders):
        for path in folder.glob(".*.part") if folder.is_dir() else ():
            found = PART.fullmatch(path.name)
            if found and not _runs(int(found["process"])):
                with contextlib.suppress(OSError):
                    path.unlink()
                    removed += 1
    return removed


def _fitting(name: str, suffix: str) -> str:
    """A file's name; where systems have no room for it, the rest of the long part is told by its hash."""
    data, room = os.fsencode(name), NAME_BYTES - len(suffix)
    if len(data) <= room:
        return name + suffix
    told = "-" + hashlib.sha256(data).hexdigest()[:8]
    return data[: room - len(told)].decode(errors="ignore") + told + suffix


def _runs(process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


def _segment(number: int, segment: Final, statistics: Statistics | None) -> dict[str, Any]:
    whole: dict[str, Any] = {"id": number}
    if statistics is not None:
        whole["seek"] = round(statistics.window_start_s * 100)
    whole |= {
        "start": round(segment.start_s, 3),
        "end": round(segment.end_s, 3),
        "text": lead(segment.text, segment.language) + segment.text.strip(),
    }
    if statistics is not None:
        whole |= {
            "temperature": statistics.temperature,
            "avg_logprob": round(statistics.avg_logprob, 4),
            "compression_ratio": round(statistics.compression_ratio, 4),
            "no_speech_prob": round(statistics.no_speech_prob, 6),
        }
    whole["confidence"] = round(segment.confidence, 4)
    whole["words"] = [
        {
            "word": lead(word.text, segment.language) + word.text.strip(),
            "start": round(word.start_s, 3),
            "end": round(word.end_s, 3),
            "probability": round(word.confidence, 4),
        }
        for word in segment.words
    ]
    return whole


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _line(text: str) -> str:
    return " ".join(text.split())
