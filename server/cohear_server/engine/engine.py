"""The engine: batches of decode jobs to results, on one loaded model.

It is synchronous, and safe to call from several threads; it knows nothing of queues, streams or deadlines.
One call of `decode`:

    jobs -> validated -> encoded, each at its own length -> language, where not given
         -> groups that one generate call can take, filled with tail states -> tokens
         -> guard -> words -> times by alignment, where asked or needed
         -> reviewed: settled, or to be tried again as a job of its own (`second_try`)
         -> results in the order of the jobs

Within a call, CTranslate2 wants the same number of prompt tokens, the same number of states, and the same options.
Languages, tasks and texts may differ: the tokens are the same as alone.
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
from .features import padded_length, voiced_samples, waveform
from .guard import GuardOptions, is_silent, judge
from .hypothesis import Hypothesis, SpelledWord, estimate_times, spell_words, timed_words, word_probability
from .options import EngineOptions
from .profile import Profile, usable_profile
from .prompts import Prompt
from .second_try import as_tried, padded_samples, review, stops_early
from .tail import MAX_STATES, States, filled_length
from .whisper import Search, WhisperModel

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Out = TypeVar("Out")

STATE_SAMPLES = 320
PADDED_TOKENS_PER_S = 8.0
PADDED_TOKENS_FLOOR = 10
"""least token cap of a model without a profile: twice fluent speech"""
PARTIAL_TOKENS = 0.6
"""A partial's share of the token cap, still more than fluent speech needs. Some windows that are cut in mid-speech
loop, and then hold up their whole batch until the cap."""


@dataclass(frozen=True, slots=True, eq=False)
class _Encoded:
    """The window of a job as input of the decoder."""

    job: DecodeJob
    """as it is tried now"""
    asked: DecodeJob
    short: bool
    """not padded to 30 s"""
    states: States
    """encoder states with their tail"""
    language: str
    language_probability: float
    """0 where the language was given"""
    prompt: Prompt
    max_tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    """The decoder's text of a window, after the guard, and where its words are (samples)."""

    source: _Encoded
    hypothesis: Hypothesis
    rules: tuple[str, ...]
    words: list[SpelledWord]
    times: list[tuple[int, int]]
    aligned: bool
    """whether its word times must be measured: they are wanted, or the rest of the window may be decoded"""


class WhisperEngine:
    def __init__(
        self,
        options: EngineOptions,
        guard: GuardOptions | None = None,
        *,
        use_profile: bool = True,
        padding: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        """Loads the model. `padding` is entered while padded second tries are decoded: 150 MB in the encoder at 30 s.

        Raises ClientError(`bad_model`, `bad_profile`)."""
        self.options = options
        self.model = WhisperModel(options)
        self._vocabulary = self.model.vocabulary
        self._guard = guard or GuardOptions()
        self.profile = usable_profile(options) if use_profile else None
        self._padding = padding
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
        """One result a job, in the same order; a job that asks for the impossible has its ClientError in `error`, and
        a doubtful text its second try in `again`.

        Raises what CTranslate2 raises when it fails; the whole batch is then without results."""
        without = [self._without_model(job) for job in batch]
        jobs = [job for job, result in zip(batch, without, strict=True) if result is None]
        padded = any(job.second_try is not None and job.second_try.padded for job in jobs)
        with self._padding() if padded else contextlib.nullcontext():
            encoded = self._encode(jobs)
            decoded = _in_groups(encoded, _call_key, self._generate)
        timed = iter(_in_groups(decoded, _alignment_key, self._align))
        return [self._result(next(timed)) if result is None else result for result in without]

    def _without_model(self, asked: DecodeJob) -> DecodeResult | None:
        """The result of a job that needs no decoding, or that the model cannot decode; None for others."""
        job = as_tried(asked)
        fault = self._fault(job)
        if fault is not None:
            return DecodeResult(job.id, error=fault)
        if is_silent(job.pcm):
            silence = DecodeResult(job.id, language=job.options.language or "", no_speech_prob=1.0, rules=("silence",))
            return review(asked, silence, short=True)
        return None

    def _fault(self, job: DecodeJob) -> ClientError | None:
        if job.pcm.dtype != np.int16 or job.pcm.ndim != 1 or not 0 < len(job.pcm) <= MAX_WINDOW_SAMPLES:
            return ClientError(
                "bad_audio",
                f"a window of shape {job.pcm.shape} and type {job.pcm.dtype} cannot be decoded",
                f"send 1 to {MAX_WINDOW_SAMPLES} samples of int16 mono audio",
            )
        options = job.options
        return self.info.fault(options.language, options.task) or self.info.languages_fault(options.languages)

    def _encode(self, batch: Sequence[DecodeJob]) -> list[_Encoded]:
        jobs = [as_tried(job) for job in batch]
        lengths = [self._encoded_samples(job) for job in jobs]
        waves = [waveform(job.pcm, length) for job, length in zip(jobs, lengths, strict=True)]
        encoded = self.model.encode(waves)
        states = [self._filled(job, one) for job, one in zip(jobs, encoded, strict=True)]
        languages = self._languages(jobs, states)
        return [
            _Encoded(
                job,
                asked,
                length < MAX_WINDOW_SAMPLES,
                filled,
                *found,
                self._vocabulary.prompt(job.options, found[0]),
                self._max_tokens(job),
            )
            for asked, job, length, filled, found in zip(batch, jobs, lengths, states, languages, strict=True)
        ]

    def _languages(self, jobs: Sequence[DecodeJob], states: Sequence[States]) -> list[tuple[str, float]]:
        """The language of each job, with its probability where it was detected."""
        if only := self.info.only_language:
            return [(only, 0.0)] * len(jobs)
        asked = [i for i, job in enumerate(jobs) if job.options.language is None]
        found = _in_groups(
            asked,
            lambda i: len(states[i]),
            lambda members: self.model.languages(
                np.stack([states[i] for i in members]), [jobs[i].options.languages for i in members]
            ),
        )
        detected = dict(zip(asked, found, strict=True))
        return [detected.get(i, (job.options.language or "", 0.0)) for i, job in enumerate(jobs)]

    def _generate(self, windows: Sequence[_Encoded]) -> list[_Decoded]:
        """Decode windows of one `_call_key`, with no more states at once than the options allow."""
        most, options = self.options.states_at_once, windows[0].job.options
        size = len(windows) if most is None else max(1, most // len(windows[0].states))
        decoded: list[_Decoded] = []
        for part in (windows[at : at + size] for at in range(0, len(windows), size)):
            hypotheses = self.model.generate(
                np.stack([window.states for window in part]),
                [window.prompt for window in part],
                Search(options.beam_size, max(window.max_tokens for window in part), options.temperature),
            )
            decoded += map(self._guarded, part, hypotheses)
        return decoded

    def _guarded(self, window: _Encoded, raw: Hypothesis) -> _Decoded:
        spell = self._vocabulary.text
        verdict = judge(raw, window.max_tokens, spell, self._guard)
        words = spell_words(verdict.hypothesis.tokens, spell, window.language)
        times = estimate_times(words, voiced_samples(window.job.pcm))
        early = stops_early(window.job, spell(verdict.hypothesis.tokens).strip(), window.language)
        aligned = bool(words) and (window.job.options.word_times or early)
        return _Decoded(window, verdict.hypothesis, verdict.rules, words, times, aligned)

    def _align(self, group: Sequence[_Decoded]) -> list[_Decoded]:
        """The same with measured word times, if the group needs them."""
        if not group[0].aligned:
            return list(group)
        alignments = self.model.align(
            np.stack([one.source.states for one in group]),
            group[0].source.prompt.start,
            [one.hypothesis.tokens for one in group],
            [-(-len(one.source.job.pcm) // STATE_SAMPLES) for one in group],
        )
        timed: list[_Decoded] = []
        for one, found in zip(group, alignments, strict=True):
            at, hypothesis = found.starts, one.hypothesis
            times = [(at[word.first] * STATE_SAMPLES, at[word.last] * STATE_SAMPLES) for word in one.words]
            if not self.options.token_probabilities and len(found.logprobs) == len(hypothesis.tokens):
                hypothesis = replace(hypothesis, logprobs=found.logprobs)
            timed.append(replace(one, times=times, hypothesis=hypothesis))
        return timed

    def _result(self, decoded: _Decoded) -> DecodeResult:
        source, hypothesis = decoded.source, decoded.hypothesis
        probabilities = [self._calibrated(word_probability(word, hypothesis.logprobs)) for word in decoded.words]
        heard = DecodeResult(
            job_id=source.job.id,
            text=self._vocabulary.text(hypothesis.tokens).strip(),
            words=timed_words(decoded.words, decoded.times, probabilities, len(source.job.pcm)),
            timed=decoded.aligned,
            language=source.language,
            language_probability=source.language_probability,
            confidence=sum(probabilities) / len(probabilities) if probabilities else 0.0,
            mean_logprob=hypothesis.mean_logprob,
            no_speech_prob=hypothesis.no_speech_prob,
            rules=decoded.rules,
        )
        return review(source.asked, heard, short=source.short)

    def _calibrated(self, probability: float) -> float:
        calibration = self.profile and self.profile.calibration
        return calibration.apply(probability) if calibration else probability

    def _setting(self, job: DecodeJob) -> Profile | None:
        return self.profile and self.profile.of(job.kind)

    def _encoded_samples(self, job: DecodeJob) -> int:
        if job.second_try is not None and job.second_try.padded:
            return padded_samples(len(job.pcm))
        if self.profile is None or not self.profile.allows(len(job.pcm) / SAMPLE_RATE_HZ):
            return MAX_WINDOW_SAMPLES
        return padded_length(len(job.pcm), self.profile.of(job.kind).silence_ms, self.model.bucket_samples)

    def _max_tokens(self, job: DecodeJob) -> int:
        per_s = self.profile.tokens_per_s if self.profile else PADDED_TOKENS_PER_S
        floor = self.profile.tokens_floor if self.profile else PADDED_TOKENS_FLOOR
        share = PARTIAL_TOKENS if job.kind is JobKind.PARTIAL else 1.0
        return int(share * (floor + per_s * len(job.pcm) / SAMPLE_RATE_HZ))

    def _filled(self, job: DecodeJob, states: States) -> States:
        """The states with their tail, filled to the length of the call; those of 30 s are full already."""
        setting = self._setting(job)
        if setting is None or len(states) == MAX_STATES:
            return states
        return setting.tail.fill(states, filled_length(len(states), setting.tail_states, setting.filled_states))


def _call_key(window: _Encoded) -> Hashable:
    """Windows with equal keys may share a call of the decoder."""
    options = window.job.options
    return len(window.prompt.previous), options.beam_size, options.temperature, len(window.states)


def _alignment_key(one: _Decoded) -> Hashable:
    """Texts with equal keys may share an alignment; None where none is wanted."""
    return (len(one.source.states), one.source.prompt.start) if one.aligned else None


def _in_groups(
    items: Sequence[Item], key: Callable[[Item], Hashable], work: Callable[[list[Item]], Sequence[Out]]
) -> list[Out]:
    """Call `work` on each group of items with equal keys; returns its results in the order of the items."""
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        groups[key(item)].append(i)
    done: dict[int, Out] = {}
    for members in groups.values():
        done.update(zip(members, work([items[i] for i in members]), strict=True))
    return [done[i] for i in range(len(items))]
