"""What is said in a stream and when: words and speech of the clips, and a speaker that stops at a given time.

Word times are measured once on each whole clip with the weights under test, and kept. Words that the model did not
hear are placed between their neighbours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.vad import VadOptions, get_speech_timestamps
from measures import Span
from speech import SAMPLE_RATE_HZ
from voice import Spoken, Voice

from .text import SaidWord, align, tokens

BREATH_S = 1.0
"""silence after each clip: long enough for every server's endpoint"""
MIN_SILENCE_MS = 200
MIN_SPEECH_MS = 150


@dataclass(frozen=True, slots=True)
class ClipTimes:
    """Times of a clip's words and speech, from the start of the clip."""

    words: list[SaidWord]
    speech: list[Span]
    error: float
    """word error of the model on the whole clip"""


Times: TypeAlias = dict[int, ClipTimes]
"""by the identity of the clip"""


class Speaker(Voice):
    """Clip after clip with a short silence between them; no clip ends after `until_s`, then there is silence."""

    def __init__(self, clips: Sequence[Spoken], seed: int, until_s: float) -> None:
        super().__init__(clips, None, seed)
        self._until_s = until_s

    def _say(self, clip: Spoken) -> None:
        left_s = self._until_s - self._made / SAMPLE_RATE_HZ
        if clip.seconds > left_s:
            fitting = [one for one in self._clips if one.seconds <= left_s]
            if not fitting:
                self._append(self._silence(BREATH_S))
                return
            clip = max(fitting, key=lambda one: one.seconds)
        super()._say(clip)
        self._append(self._silence(BREATH_S))

    def words(self, times: Times, until_s: float) -> list[SaidWord]:
        """What was said until then, in the stream's time."""
        found = []
        for clip, end_s in self.said:
            start_s = end_s - clip.seconds
            found += [SaidWord(w.text, start_s + w.start_s, start_s + w.end_s) for w in times[id(clip)].words]
        return [word for word in found if word.end_s <= until_s]

    def speech(self, times: Times, until_s: float) -> list[Span]:
        """When there was speech until then, in the stream's time."""
        starts = [(end_s - clip.seconds, times[id(clip)].speech) for clip, end_s in self.said]
        spans = [(at_s + begin, min(at_s + end, until_s)) for at_s, speech in starts for begin, end in speech]
        return [span for span in spans if span[0] < span[1]]


def clip_times(clips: Sequence[Spoken], model: Path, cache: Path) -> Times:
    """Of each clip. Measured ones are kept in `cache`."""
    known: dict[str, dict[str, Any]] = json.loads(cache.read_text()) if cache.exists() else {}
    names = {id(clip): hashlib.sha1(clip.pcm.tobytes()).hexdigest() for clip in clips}
    missing = [clip for clip in clips if names[id(clip)] not in known]
    if missing:
        engine = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=2)
        for clip in missing:
            known[names[id(clip)]] = asdict(_measure(engine, clip))
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(known))
    found = {id(clip): known[names[id(clip)]] for clip in clips}
    return {
        clip: ClipTimes([SaidWord(**word) for word in one["words"]], [(a, b) for a, b in one["speech"]], one["error"])
        for clip, one in found.items()
    }


def _find_speech(clip: Spoken) -> list[Span]:
    """Speech as Silero finds it, which all servers with speech detection use. Level alone misses soft last words."""
    options = VadOptions(min_silence_duration_ms=MIN_SILENCE_MS, min_speech_duration_ms=MIN_SPEECH_MS, speech_pad_ms=0)
    # without silence after the clip, its end would count as speech
    audio = np.concatenate([clip.pcm, np.zeros(SAMPLE_RATE_HZ, np.int16)]).astype(np.float32) / np.float32(32768)
    found = [(s["start"] / SAMPLE_RATE_HZ, s["end"] / SAMPLE_RATE_HZ) for s in get_speech_timestamps(audio, options)]
    return [(begin, min(end, clip.seconds)) for begin, end in found if begin < clip.seconds]


def _measure(engine: WhisperModel, clip: Spoken) -> ClipTimes:
    segments, _ = engine.transcribe(
        clip.pcm.astype(np.float32) / np.float32(32768),
        language=clip.lang,
        beam_size=1,
        temperature=0,
        word_timestamps=True,
        condition_on_previous_text=False,
        vad_filter=False,
    )
    heard = [(word.word, word.start, word.end) for segment in segments for word in segment.words or ()]
    heard = [(text, start, end) for text, start, end in heard if tokens(text)]
    words = place_words(tokens(clip.reference), heard, clip.seconds)
    shown = tokens(" ".join(text for text, _, _ in heard))
    right = sum(
        place is not None and words[place].text == text for place, text in zip(align(words, shown), shown, strict=True)
    )
    return ClipTimes(words, _find_speech(clip), 1 - right / max(1, len(words)))


def place_words(reference: Sequence[str], heard: Sequence[tuple[str, float, float]], seconds: float) -> list[SaidWord]:
    """The words of the reference, with the times of the heard words; words between them share the gap evenly."""
    said = [SaidWord(text, 0.0, 0.0) for text in reference]
    spans: dict[int, tuple[float, float]] = {}
    for place, (_, start_s, end_s) in zip(align(said, ["".join(tokens(h[0])) for h in heard]), heard, strict=True):
        if place is not None:
            spans[place] = (float(start_s), float(end_s))
    placed = []
    for i, text in enumerate(reference):
        if i not in spans:
            before = max((j for j in spans if j < i), default=-1)
            after = min((j for j in spans if j > i), default=len(reference))
            begin_s = spans[before][1] if before >= 0 else 0.0
            share = (max(begin_s, spans[after][0] if after in spans else seconds) - begin_s) / (after - before - 1)
            span = (begin_s + share * (i - before - 1), begin_s + share * (i - before))
        else:
            span = spans[i]
        placed.append(SaidWord(text, *span))
    return placed
