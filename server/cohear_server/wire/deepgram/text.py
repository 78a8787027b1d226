"""Words and transcripts in Deepgram's form. Without `punctuate` they are lower case, and have no punctuation."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from importlib import metadata
from statistics import fmean

from cohear_client.writing import joined_words

from ...core.events import Words
from ...core.jobs import SAMPLE_RATE_HZ, HypothesisWord
from .messages import Alternative, ModelInfo, Word

_EDGES = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~""" + "¿¡…«»“”‘’„‚–—。、，！？：；「」『』（） "
"""what may stand before and behind a word and is no part of it"""


def alternative(words: Words, language: str, *, punctuated: bool) -> Alternative:
    """One reading of some audio."""
    told = [(word, plain) for word in words if (plain := bare(word.text))]
    texts = [word.text if punctuated else plain for word, plain in told]
    return Alternative(
        transcript=joined_words(texts, language),
        confidence=round(fmean(word.probability for word, _ in told), 4) if told else 0.0,
        words=tuple(_words(told, punctuated=punctuated)),
    )


def bare(word: str) -> str:
    """The word in lower case, without punctuation around it; signs of value, as in 5% and $5, stay. Empty where it is
    nothing else."""
    text = word.strip(" ")
    plain = text.strip(_EDGES)
    if not plain:
        return ""
    at = text.index(plain)
    before, after = text[:at], text[at + len(plain) :]
    sign = before[-1:] if before[-1:] in ("$", "#", "-", "+") and plain[0].isdigit() else ""
    return (sign + plain + ("%" if after.startswith("%") else "")).lower()


def model_info(name: str) -> ModelInfo:
    return ModelInfo(name=name, version=metadata.version("cohear"))


def model_uuid(name: str) -> str:
    """The same for a model of this name everywhere."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"whisper:{name}"))


def seconds(samples: int) -> float:
    """Of audio at 16 kHz; 7 digits tell each sample exactly."""
    return round(samples / SAMPLE_RATE_HZ, 7)


def _words(told: Sequence[tuple[HypothesisWord, str]], *, punctuated: bool) -> Iterator[Word]:
    """One behind the other: times in an interim are estimates of several hypotheses, and may overlap."""
    reached = 0
    for word, plain in told:
        start = max(word.start_samples, reached)
        reached = max(word.end_samples, start)
        yield Word(
            word=plain,
            start=seconds(start),
            end=seconds(reached),
            confidence=round(word.probability, 4),
            punctuated_word=word.text.strip() if punctuated else None,
        )
