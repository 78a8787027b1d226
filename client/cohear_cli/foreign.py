"""Flags of openai-whisper and whisper-ctranslate2 that scripts pass to `transcribe` and that decide nothing here: they
are taken, and what holds instead is told in one line. Those that mean something here are flags of `transcribe` itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

TRUE, FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})


@dataclass(frozen=True, slots=True)
class Foreign:
    """A flag with one value; one that a program reads as True or False may come without."""

    name: str
    instead: str
    """what holds here"""
    same: frozenset[str] = frozenset()
    """values, in lower case, that ask for just that: nothing is told of them"""
    switch: bool = False


_GREEDY = "words are found by --beam-size, or drawn once at each --temperature"
_VAD = "the speech detector has no such setting; --vad-filter False turns it off"
_PUNCTUATION = "punctuation belongs to the word that it is written with"
_SPEAKERS = "speakers are not told apart"
_NO = frozenset({"", "none"})

FLAGS = (
    Foreign("--fp16", "--compute-type says how to count: int8 on a CPU, float16 on a GPU", switch=True),
    Foreign("--batched", "windows are always decoded in batches", TRUE, switch=True),
    Foreign("--device-index", "the first GPU is used; CUDA_VISIBLE_DEVICES=N chooses another", frozenset({"0"})),
    Foreign("--best-of", _GREEDY, frozenset({"1", "none"})),
    Foreign("--patience", _GREEDY, frozenset({"1", "1.0", "none"})),
    Foreign("--length-penalty", _GREEDY, frozenset({"1", "1.0", "none"})),
    Foreign("--repetition-penalty", "loops are cut from the text", frozenset({"1", "1.0"})),
    Foreign("--no-repeat-ngram-size", "loops are cut from the text", frozenset({"0"})),
    Foreign("--suppress-tokens", "Whisper's own list is suppressed", frozenset({"-1"})),
    Foreign("--suppress-blank", "a window may be without words", switch=True),
    Foreign("--prefix", "no window has a prefix; --prompt gives every window its context", _NO),
    Foreign("--condition-on-previous-text", "no window knows the text before it", FALSE, switch=True),
    Foreign("--prompt-reset-on-temperature", "no window knows the text before it"),
    Foreign("--carry-initial-prompt", "every window has the prompt", TRUE, switch=True),
    Foreign("--clip-timestamps", "the whole file is transcribed", frozenset({"", "0", "none"})),
    Foreign("--hallucination-silence-threshold", "silence is left out before the model hears it", _NO),
    Foreign("--prepend-punctuations", _PUNCTUATION),
    Foreign("--append-punctuations", _PUNCTUATION),
    Foreign("--pretty-json", "json is always written over several lines", TRUE, switch=True),
    Foreign("--log-progress", "progress is shown on a terminal, and with --json", switch=True),
    Foreign("--multilingual", "a file has one language", FALSE, switch=True),
    Foreign("--language-detection-threshold", "the language of a file is found from its speech"),
    Foreign("--language-detection-segments", "the language of a file is found from its speech"),
    Foreign("--vad-onset", _VAD),
    Foreign("--vad-threshold", _VAD),
    Foreign("--vad-min-speech-duration-ms", _VAD),
    Foreign("--vad-max-speech-duration-s", _VAD),
    Foreign("--vad-min-silence-duration-ms", _VAD),
    Foreign("--vad-speech-pad-ms", _VAD),
    Foreign("--hf-token", _SPEAKERS, _NO),
    Foreign("--speaker-name", _SPEAKERS),
    Foreign("--speaker-num", _SPEAKERS),
    Foreign("--live-transcribe", "files are transcribed; the microphone is `cohear mic`", FALSE, switch=True),
    Foreign("--live-volume-threshold", "files are transcribed; the microphone is `cohear mic`"),
    Foreign("--live-input-device", "files are transcribed; the microphone is `cohear mic --device`"),
)


def add_foreign_flags(parser: argparse.ArgumentParser) -> None:
    """Hidden in the help: the documents list them."""
    for flag in FLAGS:
        action = parser.add_argument(flag.name, dest=_dest(flag), help=argparse.SUPPRESS)
        if flag.switch:
            action.nargs, action.const = "?", "true"


def remarks(args: argparse.Namespace) -> Iterator[str]:
    """A line for each flag that was passed and asks for something else than what holds."""
    for flag in FLAGS:
        value: str | None = getattr(args, _dest(flag))
        if value is not None and value.lower() not in flag.same:
            yield f"{flag.name} {value} has no effect: {flag.instead}"


def _dest(flag: Foreign) -> str:
    return "foreign_" + flag.name.removeprefix("--").replace("-", "_")
