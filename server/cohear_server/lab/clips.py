"""Clips to evaluate a model on: reads a speech folder or a manifest, chooses, and cuts long recordings.

manifest.jsonl has one clip on each line: `file` and, where they are known, `norm` or `text` (the reference; empty where
nothing is said), `lang`, `corpus`, `speaker`. Without a manifest, all audio files of the folder are taken, without
references.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from ..core.jobs import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, Pcm
from ..core.segmenter import Segmenter, SegmenterOptions, SpeechEnd, SpeechStart
from ..core.vad import FRAME_SAMPLES, make_vad, power
from ..errors import ClientError
from ..models.silero import load_silero
from .trial_speech import clip_rows, read_pcm

LONGEST_S = MAX_WINDOW_SAMPLES / SAMPLE_RATE_HZ
"""longer recordings are cut, as a live stream is"""


@dataclass(frozen=True, slots=True)
class Clip:
    path: Path
    group: str
    """the corpus; recordings that must be cut are a group of their own, `long`"""
    speaker: str
    lang: str
    """ISO 639-1; empty where it is not known"""
    reference: str | None
    """None where it is not known, empty where nothing is said"""
    seconds: float

    def pcm(self) -> Pcm:
        return read_pcm(self.path)


def read_clips(audio: Path) -> list[Clip]:
    """All clips, in their order. Raises ClientError(`bad_audio`) if there is none or they cannot be read."""
    try:
        clips = [_clip(row) for row in clip_rows(audio)]
    except (OSError, ValueError, KeyError, TypeError, soundfile.LibsndfileError) as fault:
        what = f"the speech in {audio} cannot be read: {fault}"
        raise ClientError("bad_audio", what, "give a folder of clips, or a manifest.jsonl") from fault
    if not clips:
        raise ClientError("bad_audio", f"{audio} holds no audio", "give a folder of clips, or a manifest.jsonl")
    return clips


def _clip(row: dict[str, Any]) -> Clip:
    path: Path = row["file"]
    seconds = float(row.get("seconds") or soundfile.info(path).duration)
    group = "long" if seconds > LONGEST_S else str(row.get("corpus") or path.parent.name)
    reference = row.get("norm", row.get("text"))
    return Clip(path, group, row.get("speaker") or "", str(row.get("lang") or "")[:2], reference, seconds)


def grouped(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Group -> its clips; the order is kept."""
    groups: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[clip.group].append(clip)
    return dict(groups)


def choose(clips: Sequence[Clip], count: int) -> list[Clip]:
    """`count` clips, the same each time, spread evenly over speakers."""
    speakers: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        speakers[clip.speaker].append(clip)
    rounds = max(map(len, speakers.values()), default=0)
    return [own[i] for i in range(rounds) for own in speakers.values() if i < len(own)][:count]


def windows_of(pcm: Pcm) -> list[Pcm]:
    """The windows to decode: the whole clip, or the segments into which the service would cut a long recording."""
    if len(pcm) <= MAX_WINDOW_SAMPLES:
        return [pcm]
    count = len(pcm) // FRAME_SAMPLES
    frames = pcm[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)
    segmenter, starts, spans = Segmenter(SegmenterOptions()), [0], []
    for event in segmenter.push(make_vad("cascade", load_silero()).push(frames), power(frames)):
        match event:
            case SpeechStart(start):
                starts.append(start)
            case SpeechEnd(end):
                spans.append((starts[-1], end))
    last = segmenter.flush(len(pcm), "stop")
    if last is not None:
        spans.append((starts[-1], last.end))
    return [pcm[start:end] for start, end in spans]
