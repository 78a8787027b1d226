"""Makes Whisper models of any shape with random weights: their speed is real, their text is noise. For tests, and for
models that are too large to be on this machine."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.specs import WhisperSpec
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

LANGUAGES_V3 = 100
"""languages of large-v3; earlier models lack the last one, yue"""


@dataclass(frozen=True, slots=True)
class Shape:
    width: int = 32
    heads: int = 2
    encoder_layers: int = 2
    decoder_layers: int = 2
    mels: int = 80
    """80 as in tiny to large-v2 (51865 tokens), or 128 as in large-v3 (51866 tokens)"""


SHAPES = {
    "tiny": Shape(384, 6, 4, 4),
    "base": Shape(512, 8, 6, 6),
    "large-v3-turbo": Shape(1280, 20, 32, 4, 128),
}


def save_random_model(folder: Path, shape: Shape, quantization: str | None = None) -> None:
    """Write a CTranslate2 folder, unless it exists; `quantization` is CTranslate2's name (None: float32)."""
    languages = LANGUAGES_V3 if shape.mels == 128 else LANGUAGES_V3 - 1
    tokenizer = _tokenizer(languages)
    tokens = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    assert len(tokens) == 51766 + languages
    spec = WhisperSpec(shape.encoder_layers, shape.heads, shape.decoder_layers, shape.heads)
    _Filler(shape, np.random.default_rng(0)).fill(spec, len(tokens))
    first = tokens.index("<|startoftranscript|>") + 1
    spec.config.suppress_ids = list(range(1, 80))
    spec.config.suppress_ids_begin = [tokens.index("<|endoftext|>")]
    spec.config.lang_ids = list(range(first, first + languages))
    spec.config.alignment_heads = [[shape.decoder_layers - 1, head] for head in range(shape.heads)]
    spec.register_vocabulary(tokens)
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))


def _tokenizer(languages: int) -> Tokenizer:
    """Whisper's special tokens at Whisper's numbers, over a byte-level vocabulary of invented merges."""
    vocabulary = {token: i for i, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pairs = [a + b for a, b in itertools.product(["\u0120", *letters], letters)]
    merges = []
    for left, right in [*((pair[0], pair[1]) for pair in pairs), *itertools.product(pairs, pairs)]:
        if left + right not in vocabulary and len(vocabulary) < 50256:
            vocabulary[left + right] = len(vocabulary)
            merges.append((left, right))
    vocabulary[""] = 50256  # by the number of tokens before <|endoftext|> CTranslate2 knows a multilingual model
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    codes = ["en", "de", "ja", "fr", *(f"x{i:02d}" for i in range(4, languages))]
    special = ["endoftext", "startoftranscript", *codes, "translate", "transcribe", "startoflm", "startofprev"]
    special += ["nospeech", "notimestamps"]
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True, normalized=False) for name in special])
    tokenizer.add_tokens([AddedToken(f"<|{i * 0.02:.2f}|>", normalized=False) for i in range(1501)])
    return tokenizer


class _Filler:
    """Fills a spec with random weights, scaled so that activations stay near 1 at any width."""

    def __init__(self, shape: Shape, noise: np.random.Generator) -> None:
        self._shape = shape
        self._noise = noise
        self._spread = 1.7 / shape.width**0.5

    def fill(self, spec: ctranslate2.specs.WhisperSpec, vocabulary: int) -> None:
        width = self._shape.width
        for conv, inputs in ((spec.encoder.conv1, self._shape.mels), (spec.encoder.conv2, width)):
            vars(conv).update(weight=self._random(width, inputs, 3), bias=self._random(width))
        spec.encoder.position_encodings.encodings = self._random(1500, width)
        self._norm(spec.encoder.layer_norm)
        for layer in spec.encoder.layer:
            self._block(layer, [("self_attention", (3, 1))])
        spec.decoder.embeddings.weight = spec.decoder.projection.weight = self._random(vocabulary, width)
        spec.decoder.position_encodings.encodings = self._random(448, width)
        self._norm(spec.decoder.layer_norm)
        for layer in spec.decoder.layer:
            self._block(layer, [("self_attention", (3, 1)), ("attention", (1, 2, 1))])

    def _random(self, *shape: int) -> NDArray[np.float32]:
        return self._noise.standard_normal(shape, np.float32) * np.float32(self._spread)

    def _linear(self, layer: object, rows: int, columns: int) -> None:
        vars(layer).update(weight=self._random(rows, columns), bias=self._random(rows))

    def _norm(self, layer: object) -> None:
        width = self._shape.width
        vars(layer).update(gamma=np.ones(width, np.float32), beta=np.zeros(width, np.float32))

    def _block(self, layer: object, attentions: list[tuple[str, tuple[int, ...]]]) -> None:
        width = self._shape.width
        for name, shapes in attentions:
            attention = vars(layer)[name]
            self._norm(attention.layer_norm)
            for part, rows in zip(attention.linear, shapes, strict=True):
                self._linear(part, rows * width, width)
        ffn = vars(layer)["ffn"]
        self._norm(ffn.layer_norm)
        self._linear(ffn.linear_0, 4 * width, width)
        self._linear(ffn.linear_1, width, 4 * width)
