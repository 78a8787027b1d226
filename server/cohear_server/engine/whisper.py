"""Whisper as CTranslate2 runs it: arrays in, arrays and tokens out.

The one module that knows ctranslate2 and faster_whisper. It is synchronous and may be called from several
threads at once. It knows no jobs, profiles or words: `engine` does.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ..core.jobs import SAMPLE_RATE_HZ
from ..errors import ClientError
from .hypothesis import Hypothesis
from .options import EngineOptions
from .prompts import MAX_NEW_TOKENS, Prompt, Vocabulary
from .tail import MAX_STATES, States
from .tally import TALLY

CUDA_ALIGNED_WINDOWS = 16
"""most windows aligned at once: the logits of all their tokens exist together, twice. A CPU aligns one by one"""
CUDA_BUCKET_SAMPLES = 2 * SAMPLE_RATE_HZ
"""a GPU wants windows of one length in one call; on a CPU a batch of encodes gains nothing"""

LEAST_PROBABILITY = 1e-9

CACHED_PRIMITIVES = 16
"""oneDNN keeps the code that it makes for each window length, by default for 1024 of them, which takes much memory.
With windows as long as the speech, more than a few save no time that could be measured."""

Batch = NDArray[np.float32]
"""encoder output of several windows, [windows, states, d_model]"""


def cuda_devices() -> int:
    """How many GPUs CTranslate2 can use."""
    return int(ctranslate2.get_cuda_device_count())


@dataclass(frozen=True, slots=True)
class Search:
    """How tokens are searched: the likeliest ones, with beams, or at random above temperature 0."""

    beam_size: int
    max_tokens: int
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where a text is in a window, and how probable each of its tokens is."""

    starts: tuple[int, ...]
    """the state at which each token begins, and at which the last one ends: one number more than tokens"""
    logprobs: tuple[float, ...]


class WhisperModel:
    def __init__(self, options: EngineOptions) -> None:
        """Raises ClientError(`bad_model`) if the folder holds no such model or the device cannot run it."""
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(CACHED_PRIMITIVES))  # read when it first computes
        try:
            self._model = ctranslate2.models.Whisper(
                str(options.model_dir),
                device=options.device,
                compute_type=options.compute_type,
                inter_threads=options.workers,
                intra_threads=options.threads,
                max_queued_batches=-1,  # the default blocks the caller when 4 batches a worker wait
            )
            tokenizer = Tokenizer.from_file(str(options.model_dir / "tokenizer.json"))
            self.vocabulary = Vocabulary(tokenizer, self._model.is_multilingual)
        except Exception as fault:  # both libraries raise bare Exception, RuntimeError and ValueError alike
            raise ClientError(
                "bad_model",
                f"model {options.model_name} does not load from {options.model_dir}: {fault}",
                "give a CTranslate2 Whisper folder, and a device and compute type that this machine has",
            ) from fault
        self._token_probabilities = options.token_probabilities
        self.device = str(self._model.device)
        self.compute_type = str(self._model.compute_type)
        self.bucket_samples = CUDA_BUCKET_SAMPLES if self.device == "cuda" else 1
        self._log_mel = FeatureExtractor(feature_size=self._model.n_mels)

    def encode(self, waves: Sequence[NDArray[np.float32]]) -> list[States]:
        """States of each waveform (16 kHz, -1..1, 0.01 to 30 s), one for every begun 20 ms, in the order given."""
        lengths: defaultdict[object, list[int]] = defaultdict(list)
        for i, wave in enumerate(waves):
            lengths[len(wave) if self.device == "cuda" else i].append(i)
        states: dict[int, States] = {}
        for members in lengths.values():
            # padding=0: with the default the extractor gives 3001 frames for 30 s, which the encoder refuses
            mels = np.stack([self._log_mel(waves[i], padding=0) for i in members])
            with TALLY.encoding():
                encoded = _to_numpy(self._model.encode(_view(mels), to_cpu=True))
            states.update(zip(members, encoded, strict=True))
        return [states[i] for i in range(len(waves))]

    def languages(self, batch: Batch, among: Sequence[Sequence[str]]) -> list[tuple[str, float]]:
        """The most probable language of each window, of those it is found `among` (none: of all), and how probable it
        is among them. Raises RuntimeError if the model is not multilingual."""
        found = self._model.detect_language(_view(batch))
        return [_likeliest(ranked, wanted) for ranked, wanted in zip(found, among, strict=True)]

    def generate(self, batch: Batch, prompts: Sequence[Prompt], search: Search) -> list[Hypothesis]:
        """Prompts must have equal numbers of previous and of start tokens."""
        beam_size = search.beam_size if search.temperature == 0 else 1
        logits = self._token_probabilities and beam_size == 1  # with beams it gives those of one step only
        results = self._model.generate(
            _view(batch),
            [prompt.tokens for prompt in prompts],
            beam_size=beam_size,
            max_length=max_length(search.max_tokens, len(prompts[0].tokens)),
            return_scores=True,
            return_no_speech_prob=True,
            return_logits_vocab=logits,
            sampling_topk=1 if search.temperature == 0 else 0,
            sampling_temperature=search.temperature or 1.0,
        )
        TALLY.steps += 1 + max(len(result.sequences_ids[0]) for result in results)
        return [self._hypothesis(result) for result in results]

    def align(
        self, batch: Batch, start: Sequence[int], texts: Sequence[Sequence[int]], lengths: Sequence[int]
    ) -> list[Alignment]:
        """Of each text.

        `start` is shared by all (one language and task); `lengths` are the states of each window before its tail."""
        frames = [2 * length for length in lengths]
        results: list[Any] = []
        size = CUDA_ALIGNED_WINDOWS if self.device == "cuda" else 1
        for part in (slice(at, at + size) for at in range(0, len(texts), size)):
            results += self._model.align(_view(batch[part]), list(start), [list(t) for t in texts[part]], frames[part])
        return [
            Alignment(
                tuple(_token_starts(result.alignments, len(text), length)),
                tuple(math.log(max(p, LEAST_PROBABILITY)) for p in result.text_token_probs[: len(text)]),
            )
            for result, text, length in zip(results, texts, lengths, strict=True)
        ]

    def _hypothesis(self, result: Any) -> Hypothesis:
        ids = result.sequences_ids[0]
        if result.logits:
            logprobs = [_logprob(view, token) for view, token in zip(result.logits[0], ids, strict=False)]
        else:
            logprobs = [float(result.scores[0])] * len(ids)
        pairs = [
            (token, value)
            for token, value in zip(ids, logprobs, strict=True)
            if token < self.vocabulary.end_of_text  # timestamps and the like are no text
        ]
        return Hypothesis(tuple(t for t, _ in pairs), tuple(v for _, v in pairs), float(result.no_speech_prob))


def _likeliest(ranked: Sequence[tuple[str, float]], among: Sequence[str]) -> tuple[str, float]:
    """`ranked` is each language's token and probability, the likeliest first."""
    named = [(token.strip("<|>"), float(probability)) for token, probability in ranked]
    possible = [one for one in named if not among or one[0] in among] or [(among[0], 0.0)]
    language, probability = possible[0]
    return language, probability / max(sum(share for _, share in possible), LEAST_PROBABILITY)


def max_length(new_tokens: int, prompt_tokens: int) -> int:
    """The `max_length` for CTranslate2 with which `new_tokens` can come, however long the prompt is: it allows the
    smaller of half of it, and of what the prompt leaves of it (src/models/whisper.cc)."""
    wanted = min(MAX_NEW_TOKENS, new_tokens)
    return max(2 * wanted, wanted + prompt_tokens)


def _logprob(view: Any, token: int) -> float:
    # greedy took the largest logit, so differences to it are at most 0 and the sum cannot overflow
    logits = _to_numpy(view).ravel()
    return -float(np.log(np.exp(logits - logits[token]).sum()))


def _token_starts(path: Sequence[tuple[int, int]], tokens: int, length: int) -> list[int]:
    """The first state of each token on the alignment's path; `length` where the path does not reach."""
    starts = [min(length, MAX_STATES)] * (tokens + 1)
    for token, state in reversed(path):
        if token <= tokens:
            starts[token] = state
    return starts


def _view(array: NDArray[np.float32]) -> Any:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def _to_numpy(view: Any) -> NDArray[np.float32]:
    """Copied to the host and widened to float32 where needed; valid as long as `view` is."""
    if view.device != "cpu":
        view = view.to_device(ctranslate2.Device.cpu)
    if view.dtype != ctranslate2.DataType.float32:
        view = view.to(ctranslate2.DataType.float32)
    return np.array(view)
