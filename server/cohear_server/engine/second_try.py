"""Second tries: which texts are doubtful, how their window is decoded once more, and which text is kept.

    doubtful                                          next try                         kept, with the rule
    the guard took text away, it stops early, or      without the prompt               `prompt_dropped`
      nothing is heard, and there was a prompt
    the guard took text away from a short window      with much more silence behind    `retried`
    it stops long before the sound does               the rest, as a window of its own `continued`
    improbable, or a loop, in a file                  at the next higher temperature

It decodes nothing: `review` looks at the text of a job, and either accepts it or says in `DecodeResult.again` what to
try next. That try is queued as another job, so it does not hold up the batch of the first one. There are at most
MAX_TRIES for each temperature. The session has one more second try of its own: a segment in which nothing was heard
after its context is decoded alone (`core.session`).

Why texts stop early: Whisper sometimes takes a pause in the middle of a window for its end, and fourteen seconds of
speech become "She said,". Padding to 30 s has the same fault, on other windows. It shows as far too little text for
that much sound. The fallback of temperatures is Whisper's own (openai/whisper, transcribe.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from cohear_client.writing import UNSPACED

from ..core.jobs import (
    MAX_WINDOW_SAMPLES,
    SAMPLE_RATE_HZ,
    DecodeJob,
    DecodeOptions,
    DecodeResult,
    HypothesisWord,
    SecondTry,
)
from ..core.words import joined
from .features import sound_s
from .guard import compression_ratio

Decode = Callable[[Sequence[DecodeJob]], list[DecodeResult]]

MAX_TRIES = 5

CUT_RULES = frozenset({"loop", "unlikely", "no_speech", "repetitive"})
"""rules of the guard that may have removed text that was said"""
MIN_SOUND_S = 0.3
"""a window with less sound is a click: a second try finds no word in it"""

PADDED_SAMPLES = 12 * SAMPLE_RATE_HZ
"""So long a window is with more silence. In 13 second tries 12 s had words where 30 s had some, for a fifth of the
time."""
PADDED_LONGEST_SAMPLES = 8 * SAMPLE_RATE_HZ
"""a longer one is padded to 30 s, as Whisper was trained"""

WHOLE_SOUND_S = 2.5
CHARACTERS_PER_S = 8.0
"""fewer characters for each second of sound are too few: speech has 12 to 18 in languages with an alphabet"""
IMPROBABLE_LOGPROB = -1.5
"""a text that stops early and is less probable is not kept, not even as a beginning"""
BELIEVED_LOGPROB = -1.2
"""the text of the rest is not used if it is less probable"""
STEP_SAMPLES = SAMPLE_RATE_HZ // 5
"""where to begin again if even the first words are improbable"""
MIN_REST_SOUND_S = 0.75


def as_tried(job: DecodeJob) -> DecodeJob:
    """The job to decode now: in a second try, with a part of its window, another prompt or another temperature."""
    again = job.second_try
    if again is None:
        return job
    options = replace(job.options, temperature=_temperature(job.options, again))
    if not again.prompted:
        options = replace(options, prompt="")
    if again.start_samples:
        options = replace(options, language=again.best.language or options.language)
    return replace(job, pcm=job.pcm[again.start_samples :], options=options)


def padded_samples(window_samples: int) -> int:
    """Length of a window with much more silence after it."""
    return PADDED_SAMPLES if window_samples <= PADDED_LONGEST_SAMPLES else MAX_WINDOW_SAMPLES


def stops_early(job: DecodeJob, text: str, language: str) -> bool:
    """Whether a final has far less text than its sound could hold. Languages without an alphabet are not judged.

    Word times of such a text must be measured: its rest begins where they end."""
    if not job.kind.lasts or language in UNSPACED:
        return False
    lasts_s = sound_s(job.pcm)
    return lasts_s >= WHOLE_SOUND_S and len(text) < CHARACTERS_PER_S * lasts_s


def review(job: DecodeJob, heard: DecodeResult, *, short: bool) -> DecodeResult:
    """The result of a job that was decoded to `heard`; it has `again` set if a second try must follow.

    `short`: the window was not padded to 30 s."""
    if not job.kind.lasts:
        return heard
    now = job.second_try or SecondTry(best=heard, tries=0)
    part = _marked(job, now, _moved(heard, now.start_samples))
    if now.part is not None:
        part = _better(job, now, part)
    whole = _whole(job, now, part)
    best = now.best if whole is None else _likelier(job, now, whole)
    following = _next(job, replace(now, part=part, best=best), whole, short=short)
    return replace(best, again=following)


def settled(decode: Decode, batch: Sequence[DecodeJob]) -> list[DecodeResult]:
    """The results of a batch after all second tries, for callers without a dispatcher."""
    results = decode(batch)
    while doubtful := [i for i, result in enumerate(results) if result.again is not None]:
        again = decode([replace(batch[i], second_try=results[i].again) for i in doubtful])
        for i, result in zip(doubtful, again, strict=True):
            results[i] = replace(results[i], again=None) if result.error else result
    return results


def _next(job: DecodeJob, now: SecondTry, whole: DecodeResult | None, *, short: bool) -> SecondTry | None:
    """The next try, or None if the text is accepted."""
    tried, part = as_tried(job), now.part
    assert part is not None
    early = stops_early(tried, part.text, part.language)
    following = replace(now, tries=now.tries + 1)
    if following.tries > MAX_TRIES:
        return _warmer(job, now)
    if sound_s(tried.pcm) >= MIN_SOUND_S:
        cut = not CUT_RULES.isdisjoint(part.rules)
        if now.prompted and job.options.prompt and (cut or early or not part.words):
            return replace(following, prompted=False)
        if cut and short and not now.padded:
            return replace(following, padded=True)
    rest = _rest(job, following, part, whole) if early else None
    return rest or _warmer(job, now)


def _rest(job: DecodeJob, now: SecondTry, part: DecodeResult, whole: DecodeResult | None) -> SecondTry | None:
    """The try of the rest after the text so far, if it has sound."""
    if not part.words or part.mean_logprob < IMPROBABLE_LOGPROB:
        before, start = now.before, now.start_samples + STEP_SAMPLES
    elif whole is None:
        return None
    else:
        before, start = whole, part.words[-1].end_samples
    if sound_s(job.pcm[start:]) < MIN_REST_SOUND_S:
        return None
    return replace(now, start_samples=start, before=before, part=None, padded=False)


def _warmer(job: DecodeJob, now: SecondTry) -> SecondTry | None:
    """The try of the whole window at the next temperature, if the text looks wrong by the measures of the job."""
    left = job.options.fallback.temperatures[now.temperature :]
    if not left or not _looks_wrong(job.options, now.best):
        return None
    return SecondTry(best=now.best, tries=0, temperature=now.temperature + 1, rival=now.best)


def _whole(job: DecodeJob, now: SecondTry, part: DecodeResult) -> DecodeResult | None:
    """The text of the whole window with this part of it; None if the part adds nothing."""
    if not now.start_samples:
        return part
    if not part.words or part.mean_logprob < BELIEVED_LOGPROB:
        return None
    before = now.before or replace(now.best, words=())
    return replace(_joined(before, part), timed=job.options.word_times)


def _joined(first: DecodeResult, rest: DecodeResult) -> DecodeResult:
    words = (*first.words, *rest.words)
    return replace(
        first,
        words=words,
        text=joined(words, rest.language),
        confidence=sum(word.probability for word in words) / len(words),
        mean_logprob=min(first.mean_logprob, rest.mean_logprob) if first.words else rest.mean_logprob,
        rules=tuple(dict.fromkeys((*first.rules, *rest.rules, "continued"))),
    )


def _marked(job: DecodeJob, now: SecondTry, heard: DecodeResult) -> DecodeResult:
    """The result with the rules and the temperature of its try."""
    dropped = ("prompt_dropped",) if job.options.prompt and not now.prompted else ()
    rules = (*heard.rules, *dropped)
    return replace(heard, rules=rules, temperature=_temperature(job.options, now))


def _better(job: DecodeJob, now: SecondTry, again: DecodeResult) -> DecodeResult:
    """The better of two texts of the same part: the first, or that of this try."""
    first = now.part
    assert first is not None
    if again.error is not None or "loop" in again.rules:
        kept = first  # a loop is never better than the first text
    elif now.padded:
        kept = again if _evidence(again) > _evidence(first) else first
    else:
        kept = again if _without_prompt_wins(job, now, first, again) else first
    rules = (*kept.rules, "retried") if now.padded else kept.rules
    return replace(kept, rules=rules)


def _without_prompt_wins(job: DecodeJob, now: SecondTry, first: DecodeResult, again: DecodeResult) -> bool:
    """Whether the text without the prompt is better. Whisper may write the prompt out, or stop early because of it."""
    if not first.words:
        return True
    if not again.words or again.mean_logprob < BELIEVED_LOGPROB:
        return False
    part = as_tried(job)
    cut = not CUT_RULES.isdisjoint(first.rules)
    longer = len(again.text) > len(first.text) and stops_early(part, first.text, first.language)
    return cut or longer or _evidence(again) > _evidence(first)


def _evidence(text: DecodeResult) -> tuple[bool, float]:
    """Sort key: texts with words first, then the more probable ones."""
    return bool(text.words), text.mean_logprob


def _looks_wrong(options: DecodeOptions, text: DecodeResult) -> bool:
    limits = options.fallback
    silent = text.no_speech_prob > limits.no_speech_prob
    unlikely = text.mean_logprob < limits.logprob and not silent
    return bool(text.words) and (unlikely or compression_ratio(text.text) > limits.compression_ratio)


def _likelier(job: DecodeJob, now: SecondTry, whole: DecodeResult) -> DecodeResult:
    """The best text of all temperatures so far, with this one."""

    def rank(text: DecodeResult) -> tuple[bool, bool, float]:
        looped = compression_ratio(text.text) > job.options.fallback.compression_ratio
        return bool(text.words), not looped, text.mean_logprob

    return now.rival if now.rival is not None and rank(now.rival) >= rank(whole) else whole


def _temperature(options: DecodeOptions, now: SecondTry) -> float:
    return options.fallback.temperatures[now.temperature - 1] if now.temperature else options.temperature


def _moved(heard: DecodeResult, by_samples: int) -> DecodeResult:
    """The same result, with words that count from the start of the whole window."""
    words = tuple(
        HypothesisWord(word.text, word.start_samples + by_samples, word.end_samples + by_samples, word.probability)
        for word in heard.words
    )
    return replace(heard, words=words)
