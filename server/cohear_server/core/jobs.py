"""Jobs and results: what crosses the seam between a session and an engine.

Jobs and results are plain, frozen and picklable, so that an engine may live in another process or
on another machine. Times inside a job are relative: monotonic clocks do not cross machines.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import CohearError

SAMPLE_RATE_HZ = 16_000
MAX_WINDOW_SAMPLES = 30 * SAMPLE_RATE_HZ
"""Whisper's positions end at 30 s; no window is longer."""

Pcm: TypeAlias = NDArray[np.int16]
Task = Literal["transcribe", "translate"]


class JobKind(enum.Enum):
    PARTIAL = "partial"
    """may be replaced by a newer window of the same stream, or dropped under load"""
    FINAL = "final"
    """never dropped"""
    BULK = "bulk"
    """a window of a whole file; never dropped, and decoded when no stream waits"""

    @property
    def lasts(self) -> bool:
        """Its text is the last word: worth a second try, and worth keeping."""
        return self is not JobKind.PARTIAL


@dataclass(frozen=True, slots=True)
class Fallback:
    """When a text is decoded again at a higher temperature, as Whisper does for files; live streams do not use it.
    Thresholds as in openai/whisper, transcribe.py."""

    temperatures: tuple[float, ...] = ()
    """tried in turn"""
    compression_ratio: float = 2.4
    """a text that compresses better is a loop"""
    logprob: float = -1.0
    """a text whose mean log probability is lower is doubtful"""
    no_speech_prob: float = 0.6
    """but not where the model is surer than this that nobody speaks"""


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How to decode. Jobs whose options agree in all but language, task and word times may share a batch."""

    model: str
    language: str | None = None
    """ISO 639-1 code; None lets a multilingual model detect it"""
    task: Task = "transcribe"
    beam_size: int = 1
    word_times: bool = False
    """measure word times by alignment (about one more encode); else they are estimated"""
    prompt: str = ""
    """the model takes it for text that was said before the window"""
    hotwords: str = ""
    """names and terms to expect; the model takes them for text before the prompt"""
    temperature: float = 0.0
    """0 takes the likeliest token; above 0, tokens are drawn at random"""
    fallback: Fallback = Fallback()
    languages: tuple[str, ...] = ()
    """where the language is detected: one of these; none leaves it open"""

    @property
    def prompted(self) -> bool:
        """Whether the model is given any text before the window."""
        return bool(self.prompt or self.hotwords)

    def without_prompt(self) -> DecodeOptions:
        """The same, with no text before the window."""
        return replace(self, prompt="", hotwords="")


@dataclass(frozen=True, slots=True)
class SecondTry:
    """How a window is decoded once more, and what was heard in it so far.

    Only `engine.second_try` makes and reads it. Whoever runs jobs puts it into the job and decodes the job again."""

    best: DecodeResult
    """the result if this try fails"""
    tries: int
    """number of this second try"""
    start_samples: int = 0
    """only the window from this sample on is decoded"""
    padded: bool = False
    """with much more silence after it"""
    prompted: bool = True
    """with the prompt of its options"""
    temperature: int = 0
    """how many of the `Fallback` temperatures were tried"""
    part: DecodeResult | None = None
    """the better text from `start_samples` on so far; None: there is none yet"""
    before: DecodeResult | None = None
    """the text before `start_samples`"""
    rival: DecodeResult | None = None
    """the best whole text of lower temperatures"""


@dataclass(frozen=True, slots=True, eq=False)
class DecodeJob:
    """One contiguous window to decode: int16 mono 16 kHz, 1 to MAX_WINDOW_SAMPLES samples."""

    id: str
    session_id: str
    tenant: str
    segment_id: int
    pcm: Pcm
    kind: JobKind
    deadline_s: float
    """the result is wanted within so many seconds after the job was submitted"""
    options: DecodeOptions
    second_try: SecondTry | None = None
    """set when the window was decoded before, and its text was doubtful"""


@dataclass(frozen=True, slots=True)
class HypothesisWord:
    """A word as decoded, punctuation attached, no spaces around it; samples count from the window's start."""

    text: str
    start_samples: int
    end_samples: int
    probability: float


@dataclass(frozen=True, slots=True)
class DecodeResult:
    """What was heard in one job's window, or why it could not be decoded (`error`)."""

    job_id: str
    text: str = ""
    words: tuple[HypothesisWord, ...] = ()
    timed: bool = False
    """word times were measured by alignment, not estimated from the text's length"""
    language: str = ""
    confidence: float = 0.0
    """mean word probability, 0..1"""
    mean_logprob: float = 0.0
    no_speech_prob: float = 0.0
    rules: tuple[str, ...] = ()
    """names of the anti-hallucination rules that altered or removed text"""
    wait_ms: float = 0.0
    """from the call of `decode` until the engine began on the batch"""
    decode_ms: float = 0.0
    """in the engine, for the whole batch"""
    batch_size: int = 0
    encode_ms: float = 0.0
    """of `decode_ms`, in the encoder; 0 where the engine does not say"""
    steps: int = 0
    """of the decoder, for the whole batch; 0 where the engine does not say"""
    language_probability: float = 0.0
    """probability of the language, where the model detected it; 0 where it was given or there is only one"""
    known: bool = False
    """the result comes from an earlier decode of the same window"""
    temperature: float = 0.0
    """at which this text was decoded"""
    again: SecondTry | None = field(default=None, compare=False)
    """the text is doubtful: the job is to be decoded once more with this, and that result counts"""
    error: CohearError | None = field(default=None, compare=False)


def samples_in(ms: int) -> int:
    """So many ms at 16 kHz, in samples."""
    return ms * SAMPLE_RATE_HZ // 1000
