"""The engine: batches of decode jobs to results, on one loaded model.

It is synchronous, and safe to call from several threads; it knows nothing of queues, streams or deadlines.
One call of `decode`:

    jobs -> validated -> encoded, each at its own length -> language, where not given
         -> groups that one generate call can take, filled with tail states -> tokens
         -> guard -> words -> finals that look wrong once more, with more silence
         -> times by alignment, where asked or needed -> finals that stopped too early continued (`remainder`)
         -> results in the order of the jobs

What CTranslate2 wants equal within a call: the number of prompt tokens, that of states, and all options. Languages,
tasks and texts may differ (measured: the same tokens as alone).
"""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from ..core.jobs import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, DecodeJob, DecodeResult, JobKind
from ..errors import ClientError
from .backend import ModelInfo
from .features import VOICED_FRAME_SAMPLES, padded_length, voiced_samples, waveform
from .guard import GuardOptions, is_silent, judge
from .hypothesis import Hypothesis, SpelledWord, estimate_times, spell_words, timed_words, word_probability
from .options import EngineOptions
from .profile import Profile, find_profile
from .prompts import Prompt
from .remainder import finish, is_unfinished
from .tail import MAX_STATES, States, filled_length
from .whisper import Alignment, Search, WhisperModel

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Out = TypeVar("Out")

STATE_SAMPLES = 320
PADDED_TOKENS_PER_S = 8.0
PADDED_TOKENS_FLOOR = 10
"""the token cap of a model without a profile: twice fluent speech"""
PARTIAL_TOKENS = 0.6
"""A partial's share of the token cap, still more than fluent speech has. One in 15 windows that are broken off in
mid-speech loops, and then holds up its whole batch until the cap."""
RETRIED_RULES = frozenset({"loop", "unlikely", "no_speech", "repetitive"})
"""a final of a short window that these rules changed is decoded again with much more silence behind it"""
RETRIED_SAMPLES = 12 * SAMPLE_RATE_HZ
"""So long it is then. In 13 second tries 12 s had words where 30 s had some, for a fifth of the time (60 instead of
280 ms, tiny.en on one core)."""
RETRIED_LONGEST_SAMPLES = 8 * SAMPLE_RATE_HZ
"""a longer one is padded to 30 s, as Whisper was trained"""
RETRIED_VOICED_S = 0.3
"""but not a window with less sound than that: a click, which padding does not make a word"""


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """A valid job, encoded, with the prompt to decode it."""

    job: DecodeJob
    short: bool
    """not padded to 30 s"""
    states: States
    """with their tail"""
    language: str
    language_probability: float
    """0 where it was told"""
    prompt: Prompt
    max_tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """A window, what was heard in it after the guard, and where its words are (samples)."""

    window: _Window
    hypothesis: Hypothesis
    rules: tuple[str, ...]
    words: list[SpelledWord]
    times: list[tuple[int, int]]
    aligned: bool
    """its word times are to be measured: they were asked for, or `remainder` wants to know where the text stops"""


class WhisperEngine:
    def __init__(
        self,
        options: EngineOptions,
        guard: GuardOptions | None = None,
        *,
        use_profile: bool = True,
        padding: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        """Loads the model. `padding` is entered while second tries are decoded: 150 MB in the encoder at 30 s.

        Raises ClientError(`bad_model`, `bad_profile`)."""
        self.options = options
        self.model = WhisperModel(options)
        self._vocabulary = self.model.vocabulary
        self._guard = guard or GuardOptions()
        self.profile = _usable_profile(options) if use_profile else None
        if self.profile is not None and options.filled_states is not None:
            self.profile = replace(self.profile, filled_states=options.filled_states)
        self._padding = padding
        self.retries = 0
        """finals decoded a second time; read by metrics, and exact with one worker"""
        self.info = ModelInfo(
            name=options.model_name,
            device=self.model.device,
            compute_type=self.model.compute_type,
            languages=self._vocabulary.languages,
            translates=self._vocabulary.multilingual,
            short_windows=self.profile is not None and self.profile.short_windows,
            window_steps_s=self.profile.window_steps_s if self.profile else (),
        )

    def decode(self, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        """One result a job, in the same order; a job that asks for the impossible has its ClientError in `error`.

        Raises what CTranslate2 raises when it fails; the whole batch is then without results."""
        results = self._decode_once(batch)
        return [finish(job, result, self._decode_alone) for job, result in zip(batch, results, strict=True)]

    def _decode_alone(self, job: DecodeJob) -> DecodeResult:
        return self._decode_once([job])[0]

    def _decode_once(self, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
        settled = [self._without_model(job) for job in batch]
        jobs = [job for job, result in zip(batch, settled, strict=True) if result is None]
        heard = iter(self._hear(jobs))
        return [result or self._result(next(heard)) for result in settled]

    def _without_model(self, job: DecodeJob) -> DecodeResult | None:
        """The result of a job that the model need not or cannot decode."""
        fault = self._fault(job)
        if fault is not None:
            return DecodeResult(job.id, error=fault)
        if is_silent(job.pcm):
            return DecodeResult(job.id, language=job.options.language or "", no_speech_prob=1.0, rules=("silence",))
        return None

    def _fault(self, job: DecodeJob) -> ClientError | None:
        options, info = job.options, self.info
        if job.pcm.dtype != np.int16 or job.pcm.ndim != 1 or not 0 < len(job.pcm) <= MAX_WINDOW_SAMPLES:
            return ClientError(
                "bad_audio",
                f"a window of shape {job.pcm.shape} and type {job.pcm.dtype} cannot be decoded",
                f"send 1 to {MAX_WINDOW_SAMPLES} samples of int16 mono audio",
            )
        if options.language is not None and options.language not in info.languages:
            return ClientError(
                "unsupported_language",
                f"model {info.name} does not know language {options.language!r:.40}",
                "leave it out, or name one that the model knows",
            )
        if options.task == "translate" and not info.translates:
            return ClientError(
                "unsupported_task",
                f"model {info.name} only transcribes",
                "use task 'transcribe', or a multilingual model such as base",
            )
        return None

    def _hear(self, jobs: Sequence[DecodeJob]) -> list[_Heard]:
        heard = self._decoded(self._windows(jobs, [self._encoded_samples(job) for job in jobs]))
        return _in_groups(
            self._retried(heard),
            lambda one: (len(one.window.states), one.window.prompt.start) if one.aligned else None,
            self._align,
        )

    def _decoded(self, windows: Sequence[_Window]) -> list[_Heard]:
        def alike(window: _Window) -> Hashable:
            options = window.job.options
            return len(window.prompt.previous), options.beam_size, options.temperature, len(window.states)

        return _in_groups(windows, alike, self._generate_in_parts)

    def _retried(self, heard: Sequence[_Heard]) -> list[_Heard]:
        """The same, but the better of two texts where a final looked wrong: its own, or that with more silence."""
        doubted = [i for i, one in enumerate(heard) if _looks_wrong(one)]
        if not doubted:
            return list(heard)
        jobs = [heard[i].window.job for i in doubted]
        samples = [_retried_samples(job) for job in jobs]
        with self._padding():
            again = dict(zip(doubted, self._decoded(self._windows(jobs, samples)), strict=True))
        self.retries += len(doubted)
        return [_likelier(one, again[i]) if i in again else one for i, one in enumerate(heard)]

    def _windows(self, jobs: Sequence[DecodeJob], samples: Sequence[int]) -> list[_Window]:
        """The jobs, each encoded at so many samples."""
        waves = [waveform(job.pcm, length) for job, length in zip(jobs, samples, strict=True)]
        encoded = self.model.encode(waves)
        states = [self._filled(job, one) for job, one in zip(jobs, encoded, strict=True)]
        languages = self._languages(jobs, states)
        return [
            _Window(
                job,
                length < MAX_WINDOW_SAMPLES,
                encoded,
                *found,
                self._vocabulary.prompt(job.options, found[0]),
                self._max_tokens(job),
            )
            for job, length, encoded, found in zip(jobs, samples, states, languages, strict=True)
        ]

    def _languages(self, jobs: Sequence[DecodeJob], states: Sequence[States]) -> list[tuple[str, float]]:
        """Of each job, with its probability where it was found and not told."""
        if not self._vocabulary.multilingual:
            return [(language, 0.0) for language in self._vocabulary.languages] * len(jobs)
        asked = [i for i, job in enumerate(jobs) if job.options.language is None]
        found = _in_groups(
            asked,
            lambda i: len(states[i]),
            lambda members: self.model.languages(np.stack([states[i] for i in members])),
        )
        detected = dict(zip(asked, found, strict=True))
        return [detected.get(i, (job.options.language or "", 0.0)) for i, job in enumerate(jobs)]

    def _generate_in_parts(self, windows: Sequence[_Window]) -> list[_Heard]:
        """The same as `_generate`, with no more states at once than the options allow."""
        most = self.options.states_at_once
        size = len(windows) if most is None else max(1, most // len(windows[0].states))
        parts = [windows[at : at + size] for at in range(0, len(windows), size)]
        return [one for part in parts for one in self._generate(part)]

    def _generate(self, windows: Sequence[_Window]) -> list[_Heard]:
        options = windows[0].job.options
        batch = np.stack([window.states for window in windows])
        hypotheses = self.model.generate(
            batch,
            [window.prompt for window in windows],
            Search(options.beam_size, max(window.max_tokens for window in windows), options.temperature),
        )
        return [self._heard(window, hypothesis) for window, hypothesis in zip(windows, hypotheses, strict=True)]

    def _heard(self, window: _Window, raw: Hypothesis) -> _Heard:
        spell = self._vocabulary.text
        verdict = judge(raw, window.max_tokens, spell, self._guard)
        words = spell_words(verdict.hypothesis.tokens, spell, window.language)
        times = estimate_times(words, voiced_samples(window.job.pcm))
        job = window.job
        aligned = bool(words) and (
            job.options.word_times or is_unfinished(job, spell(verdict.hypothesis.tokens).strip(), window.language)
        )
        return _Heard(window, verdict.hypothesis, verdict.rules, words, times, aligned)

    def _align(self, group: Sequence[_Heard]) -> list[_Heard]:
        """The same with measured times, if those of the group are to be measured."""
        first = group[0].window
        if not group[0].aligned:
            return list(group)
        alignments = self.model.align(
            np.stack([one.window.states for one in group]),
            first.prompt.start,
            [one.hypothesis.tokens for one in group],
            [-(-len(one.window.job.pcm) // STATE_SAMPLES) for one in group],
        )
        return [self._timed(one, found) for one, found in zip(group, alignments, strict=True)]

    def _timed(self, heard: _Heard, found: Alignment) -> _Heard:
        at = found.starts
        times = [(at[word.first] * STATE_SAMPLES, at[word.last] * STATE_SAMPLES) for word in heard.words]
        if self.options.token_probabilities or len(found.logprobs) != len(heard.hypothesis.tokens):
            return replace(heard, times=times)
        return replace(heard, times=times, hypothesis=replace(heard.hypothesis, logprobs=found.logprobs))

    def _result(self, heard: _Heard) -> DecodeResult:
        job, hypothesis = heard.window.job, heard.hypothesis
        spell = self._vocabulary.text
        probabilities = [self._calibrated(word_probability(word, hypothesis.logprobs)) for word in heard.words]
        return DecodeResult(
            job_id=job.id,
            text=spell(hypothesis.tokens).strip(),
            words=timed_words(heard.words, heard.times, probabilities, len(job.pcm)),
            timed=heard.aligned,
            language=heard.window.language,
            language_probability=heard.window.language_probability,
            confidence=sum(probabilities) / len(probabilities) if probabilities else 0.0,
            mean_logprob=hypothesis.mean_logprob,
            no_speech_prob=hypothesis.no_speech_prob,
            rules=heard.rules,
        )

    def _calibrated(self, probability: float) -> float:
        calibration = self.profile and self.profile.calibration
        return calibration.apply(probability) if calibration else probability

    def _setting(self, job: DecodeJob) -> Profile | None:
        return self.profile and self.profile.of(job.kind)

    def _encoded_samples(self, job: DecodeJob) -> int:
        if self.profile is None or not self.profile.allows(len(job.pcm) / SAMPLE_RATE_HZ):
            return MAX_WINDOW_SAMPLES
        return padded_length(len(job.pcm), self.profile.of(job.kind).silence_ms, self.model.bucket_samples)

    def _max_tokens(self, job: DecodeJob) -> int:
        per_s = self.profile.tokens_per_s if self.profile else PADDED_TOKENS_PER_S
        floor = self.profile.tokens_floor if self.profile else PADDED_TOKENS_FLOOR
        share = PARTIAL_TOKENS if job.kind is JobKind.PARTIAL else 1.0
        return int(share * (floor + per_s * len(job.pcm) / SAMPLE_RATE_HZ))

    def _frames(self, job: DecodeJob, states: int) -> int:
        """How many states a window of so many has once it is filled; equal within a call."""
        setting = self._setting(job)
        if setting is None or states == MAX_STATES:
            return MAX_STATES
        return filled_length(states, setting.tail_states, setting.filled_states)

    def _filled(self, job: DecodeJob, states: States) -> States:
        """The states with their tail; those padded to 30 s are full as they are."""
        setting = self._setting(job)
        return states if setting is None else setting.tail.fill(states, self._frames(job, len(states)))


def _in_groups(
    items: Sequence[Item], key: Callable[[Item], Hashable], work: Callable[[list[Item]], Sequence[Out]]
) -> list[Out]:
    """`work` on each group of items with equal keys; what it returns, in the order of the items."""
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        groups[key(item)].append(i)
    done: dict[int, Out] = {}
    for members in groups.values():
        done.update(zip(members, work([items[i] for i in members]), strict=True))
    return [done[i] for i in range(len(items))]


def _looks_wrong(heard: _Heard) -> bool:
    """A final of a short window, with sound in it, that the guard cut for no good reason that it knows."""
    job = heard.window.job
    if job.kind is not JobKind.FINAL or not heard.window.short or RETRIED_RULES.isdisjoint(heard.rules):
        return False
    return (len(voiced_samples(job.pcm)) - 1) * VOICED_FRAME_SAMPLES >= RETRIED_VOICED_S * SAMPLE_RATE_HZ


def _retried_samples(job: DecodeJob) -> int:
    return RETRIED_SAMPLES if len(job.pcm) <= RETRIED_LONGEST_SAMPLES else MAX_WINDOW_SAMPLES


def _likelier(first: _Heard, again: _Heard) -> _Heard:
    """The likelier of two, text before none; a draw keeps the first."""
    wins = (bool(again.words), again.hypothesis.mean_logprob) > (bool(first.words), first.hypothesis.mean_logprob)
    rules = again.rules if wins else first.rules
    return replace(again if wins else first, rules=(*rules, "retried"))


def _usable_profile(options: EngineOptions) -> Profile | None:
    """Raises ClientError(`bad_profile`) for one that cannot be read."""
    try:
        profile = find_profile(options.model_name, options.profile_dir)
    except (OSError, ValueError) as fault:
        raise ClientError(
            "bad_profile", f"the profile of model {options.model_name}: {fault}", "make it anew"
        ) from fault
    if profile is None:
        logger.warning("model %s has no profile: every window is padded to 30 s, which is slow", options.model_name)
    elif options.model_sha256 not in (None, profile.model_sha256):
        logger.warning(
            "the profile of %s was made for other weights: every window is padded to 30 s", options.model_name
        )
        return None
    elif not profile.short_windows:
        logger.warning("model %s stays padded to 30 s, which is slow: %s", options.model_name, profile.reason)
    return profile
