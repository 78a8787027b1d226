"""Checks subtitles: times that grow, no overlaps, lines within their limits, no drift against true times.

Drift compares the true starts of utterances (`segments` in the manifest, where it has them) with the starts of the same
words in our text. It is the change over the whole recording of a straight line through the differences.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from cohear_cli.outputs import render
from cohear_client.fileevents import Finished
from cohear_client.protocol import Word
from cohear_client.subtitles import LINE_CHARS, LINES
from cohear_server.batch.model import BatchModel
from cohear_server.batch.options import HearingOptions
from cohear_server.batch.pipeline import Pipeline
from cohear_server.config import ServerConfig
from cohear_server.lab.scoring import matched
from cohear_server.live.backend import engine_options

TIMES = re.compile(r"(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})")


def check_subtitles(file: Path, speech: Path, model_name: str) -> dict[str, Any]:
    """Transcribes `file` with word times and looks at its srt."""
    model = BatchModel(engine_options(ServerConfig(device="cpu"), model_name))
    hearing = HearingOptions(language="en", word_times=True)
    run = Pipeline(model.backend(), hearing, model.throughput())
    (end,) = [event for event in run.run([file]) if isinstance(event, Finished)]
    assert end.transcript is not None
    text = render(end.transcript, "srt")
    differences = _differences(end.transcript.words, _utterances(file, speech))
    places, late_s = np.array(differences).T
    slope = float(np.polyfit(places, late_s, 1)[0])
    return {
        "file": file.name,
        "cues": len(TIMES.findall(text)),
        "faults": faults(text),
        "utterances": len(differences),
        "drift_s": round(slope * end.audio_s, 3),
        "median_late_s": round(float(np.median(late_s)), 3),
        "p95_off_s": round(float(np.percentile(np.abs(late_s - np.median(late_s)), 95)), 3),
    }


def faults(srt: str, line_chars: int = LINE_CHARS, lines: int = LINES) -> int:
    """Cues of a SubRip text that break a rule."""
    wrong, before_ms, number = 0, 0, 0
    for number, block in enumerate(filter(None, srt.strip().split("\n\n")), 1):
        head, times, *text = block.split("\n")
        found = TIMES.fullmatch(times)
        if found is None or head != str(number):
            wrong += 1
            continue
        start_ms, end_ms = (_ms(found.groups()[i : i + 4]) for i in (0, 4))
        fits = 0 < len(text) <= lines and all(0 < len(line) <= line_chars for line in text)
        wrong += not (before_ms <= start_ms < end_ms and fits)
        before_ms = end_ms
    return wrong


def _ms(parts: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, ms = (int(part or 0) for part in parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms


def _utterances(file: Path, speech: Path) -> list[dict[str, Any]]:
    for line in (speech / "manifest.jsonl").read_text().splitlines():
        row = json.loads(line)
        if speech / row["file"] == file:
            segments: list[dict[str, Any]] = row["segments"]
            return segments
    raise SystemExit(f"{file} is not in the manifest")


def _differences(words: tuple[Word, ...], utterances: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """(true start, our start less the true one) of each utterance whose first words were heard."""
    truth = [one["norm"].split() for one in utterances]
    firsts = list(itertools.accumulate(map(len, truth), initial=0))
    pairs = dict(matched([word for one in truth for word in one], [word.text for word in words], "en"))
    found = []
    for one, first in zip(utterances, firsts, strict=False):
        if first in pairs:
            found.append((float(one["start"]), words[pairs[first]].start_s - one["start"]))
    return found
