"""Rules against words that nobody said. Pure functions over a hypothesis and the length of its window.

    silence        the window holds no sound at all: it is not even decoded
    token_cap      more tokens than that much speech can hold: the rest is dropped
    loop           the end repeats itself, faster than anyone speaks or up to the cap: one round of it is kept
    no_speech      the model hears no speech, and is unsure of its words: all are dropped
    unlikely       a whole phrase of words that the model hardly believes in: all are dropped
    repetitive     what is left still compresses like a loop, and the model is unsure of it: all is dropped
    no_words       nothing but punctuation is left

A VAD gate stands before the engine, so these see little silence. Thresholds of `no_speech` and `repetitive`
are Whisper's own (0.6, -1.0, 2.4: openai/whisper, transcribe.py), and serve short windows as well. `unlikely` is
for steady noise, in which base hears phrases at a no-speech probability of 0.4 to 0.6; their mean log probability is
-1.65 and less, where the worst of 150 sentences and spelled words has -1.44.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..core.jobs import Pcm
from .hypothesis import Hypothesis

SILENT_PEAK = 16
"""of 32768 (-66 dB): below the noise of any microphone"""


@dataclass(frozen=True, slots=True)
class GuardOptions:
    no_speech_prob: float = 0.6
    unsure_logprob: float = -1.0
    compression_ratio: float = 2.4
    loop_rounds: int = 3
    """a run of tokens at the end that repeats this often may be a loop"""
    loop_tokens: int = 8
    """and it must have this many tokens: "no, no, no" is speech"""
    loop_cap_share: float = 0.5
    """and the whole text this share of the cap, which fluent speech does not: a recipe, or a number, takes its time"""
    unlikely_logprob: float = -1.55
    phrase_tokens: int = 5
    """fewer tokens are not judged: a single digit may be as improbable as noise"""


@dataclass(frozen=True, slots=True)
class Verdict:
    hypothesis: Hypothesis
    rules: tuple[str, ...]
    """names of the rules that changed it"""


def judge(heard: Hypothesis, cap: int, spell: Callable[[Sequence[int]], str], options: GuardOptions) -> Verdict:
    """Apply the rules. `cap` is the most tokens that the window can hold; the decoder may have gone on for longer
    windows of the same batch."""
    rules: list[str] = []
    kept = heard
    if len(kept.tokens) >= cap:  # at the cap too: alone a window is not decoded beyond it
        kept = kept.cut(cap)
        rules.append("token_cap")
    # most loops go on to the cap, but 2 of 100 end by themselves, with a full stop
    fast = len(heard.tokens) >= options.loop_cap_share * cap
    if fast and (end := loop_end(_without_last_mark(kept.tokens, spell), options)) is not None:
        kept = kept.cut(end)
        rules.append("loop")
    if len(kept.tokens) >= options.phrase_tokens and kept.mean_logprob < options.unlikely_logprob:
        kept = kept.cut(0)
        rules.append("unlikely")
    unsure = kept.mean_logprob < options.unsure_logprob
    if kept.tokens and unsure and kept.no_speech_prob > options.no_speech_prob:
        kept = kept.cut(0)
        rules.append("no_speech")
    if kept.tokens and unsure and compression_ratio(spell(kept.tokens)) > options.compression_ratio:
        kept = kept.cut(0)
        rules.append("repetitive")
    if kept.tokens and not any(map(str.isalnum, spell(kept.tokens))):
        kept = kept.cut(0)
        rules.append("no_words")
    return Verdict(kept, tuple(rules))


def _without_last_mark(tokens: Sequence[int], spell: Callable[[Sequence[int]], str]) -> Sequence[int]:
    return tokens[:-1] if tokens and not any(map(str.isalnum, spell(tokens[-1:]))) else tokens


def is_silent(pcm: Pcm) -> bool:
    """Whether no sample of the window is above SILENT_PEAK."""
    # as Python integers: int16 has no 32768, and the absolute value of its lowest number is itself
    return max(int(pcm.max()), -int(pcm.min())) < SILENT_PEAK


def loop_end(tokens: Sequence[int], options: GuardOptions) -> int | None:
    """How many tokens to keep of a text that ends in a loop: those before it, and its first round. None without a loop.

    The last round may be cut short. The shortest period wins."""
    for period in range(1, len(tokens) // options.loop_rounds + 1):
        same = 0
        while same < len(tokens) - period and tokens[-1 - same] == tokens[-1 - same - period]:
            same += 1
        if same >= max(period * (options.loop_rounds - 1), options.loop_tokens - period):
            return len(tokens) - same
    return None


def compression_ratio(text: str) -> float:
    """Bytes of the text over its zlib length: about 1 for a sentence, above 2.4 for a loop."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded))
