"""What an engine answered, made fit for streams: a result for each job, in their order, that every client can be told.

Figures that are no numbers and words outside the window are put right, for the text is good nevertheless. A text that
is none becomes an error of its job alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..core.jobs import DecodeJob, DecodeResult, HypothesisWord
from ..errors import BackendUnavailable, CohearError, ServerError

MAX_WORDS = 1_000
"""of one window; Whisper's longest text has half as many tokens"""

FIGURES = ("wait_ms", "decode_ms", "encode_ms", "steps")
"""are counted, and never below 0"""


def in_order(batch: Sequence[DecodeJob], answer: object) -> list[DecodeResult]:
    """The results in the order of the jobs, whatever their order was. Raises BackendUnavailable if there is not exactly
    one for each."""
    if not isinstance(answer, list | tuple):
        raise BackendUnavailable(f"the engine answered with {type(answer).__name__}, not with a list of results")
    results = {one.job_id: one for one in answer if isinstance(one, DecodeResult)}
    if len(answer) != len(batch) or results.keys() != {job.id for job in batch}:
        raise BackendUnavailable(f"the engine answered {len(batch)} jobs with {len(answer)} results, or with others'")
    return [usable(results[job.id], len(job.pcm)) for job in batch]


def usable(result: DecodeResult, window_samples: int) -> DecodeResult:
    """The result of a window of so many samples as a stream may have it."""
    if result.error is None and not _is_text(result):
        unusable = ServerError("decode_failed", "the engine's text for this window cannot be used", "send it again")
        return DecodeResult(result.job_id, error=unusable)
    if result.error is not None and not isinstance(result.error, CohearError):
        return DecodeResult(result.job_id, error=ServerError("decode_failed", f"the engine failed: {result.error}"))
    wrong = {name: 0 for name in FIGURES if not 0 <= getattr(result, name) < math.inf}
    if wrong:
        result = replace(result, **wrong)  # type: ignore[arg-type]
    if 0 <= result.confidence <= 1 and all(_fits(word, window_samples) for word in result.words):
        return result
    words = tuple(_fitted(word, window_samples) for word in result.words)
    return replace(result, words=words, confidence=_share(result.confidence))


def _is_text(result: DecodeResult) -> bool:
    """Whether it is text, and can be written as UTF-8."""
    if not isinstance(result.words, tuple) or len(result.words) > MAX_WORDS:
        return False
    try:
        for text in (result.text, result.language, *(word.text for word in result.words)):
            text.encode()
    except (AttributeError, UnicodeEncodeError):
        return False
    return True


def _fits(word: HypothesisWord, window_samples: int) -> bool:
    return 0 <= word.start_samples <= word.end_samples <= window_samples and 0 <= word.probability <= 1


def _fitted(word: HypothesisWord, window_samples: int) -> HypothesisWord:
    start = _within(word.start_samples, window_samples)
    end = max(start, _within(word.end_samples, window_samples))
    return HypothesisWord(word.text, start, end, _share(word.probability))


def _within(place: float, most: int) -> int:
    return int(min(max(place, 0), most)) if math.isfinite(place) else 0


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else 0.0
