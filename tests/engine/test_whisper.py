"""The wrapper of CTranslate2, on random weights: shapes, the rules of a batch, token probabilities."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cohear_server.core.jobs import DecodeOptions
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.whisper import CACHED_PRIMITIVES, Search, WhisperModel
from cohear_server.errors import ClientError

from .jobs import noise


def load(folder: Path) -> WhisperModel:
    return WhisperModel(EngineOptions("random", folder, device="cpu", compute_type="float32", threads=1))


@pytest.fixture(scope="module")
def model(random_model_dir: Callable[[int], Path]) -> WhisperModel:
    return load(random_model_dir(80))


def wave(seconds: float, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return (noise(seconds, seed) / 32768).astype(np.float32)


def test_the_library_keeps_little_code_unless_told_otherwise(
    random_model_dir: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    for told, used in ((None, str(CACHED_PRIMITIVES)), ("1024", "1024")):
        with monkeypatch.context() as patch:
            patch.setenv(name, told) if told else patch.delenv(name, raising=False)
            load(random_model_dir(80))
            assert os.environ[name] == used


@pytest.mark.parametrize("mels", [80, 128])
def test_a_state_for_every_20_ms(random_model_dir: Callable[[int], Path], mels: int) -> None:
    model = load(random_model_dir(mels))
    assert [len(states) for states in model.encode([wave(1), wave(30), wave(0.5)])] == [50, 1500, 25]
    assert model.bucket_samples == 1


def test_a_batch_may_mix_languages_tasks_and_texts(model: WhisperModel) -> None:
    prompts = [
        model.vocabulary.prompt(DecodeOptions("m", prompt=text, task=task), language)  # type: ignore[arg-type]
        for language, task, text in [
            ("en", "transcribe", "abc"),
            ("de", "translate", "xyz"),
            ("ja", "transcribe", "dab"),
        ]
    ]
    assert len({len(prompt.tokens) for prompt in prompts}) == 1
    batch = np.stack(model.encode([wave(6, seed) for seed in range(3)]))
    together = model.generate(batch, prompts, Search(1, 12))
    alone = [model.generate(batch[i : i + 1], [prompt], Search(1, 12))[0] for i, prompt in enumerate(prompts)]
    assert [h.tokens for h in together] == [h.tokens for h in alone]
    assert together[0].tokens != together[1].tokens


def test_no_more_tokens_than_allowed(model: WhisperModel) -> None:
    batch = np.stack(model.encode([wave(6)]))
    prompt = model.vocabulary.prompt(DecodeOptions("m"), "en")
    assert len(model.generate(batch, [prompt], Search(1, 7))[0].tokens) <= 7


def test_probabilities_agree_with_the_score(model: WhisperModel) -> None:
    """With beams there are no logits, and the mean that CTranslate2 gives stands for each token."""
    batch = np.stack(model.encode([wave(6)]))
    prompt = model.vocabulary.prompt(DecodeOptions("m"), "en")
    greedy = model.generate(batch, [prompt], Search(1, 10))[0]
    assert all(value <= 0 for value in greedy.logprobs)
    beams = model.generate(batch, [prompt], Search(2, 10))[0]
    assert len(set(beams.logprobs)) == 1
    assert len(beams.logprobs) == len(beams.tokens)
    assert beams.mean_logprob >= greedy.mean_logprob - 1
    assert math.exp(beams.mean_logprob) <= 1


def test_a_language_is_found_for_each_window(model: WhisperModel) -> None:
    found = model.languages(np.stack(model.encode([wave(4, seed) for seed in range(2)])), [()] * 2)
    assert len(found) == 2
    assert {language for language, _ in found} <= set(model.vocabulary.languages)
    assert all(0 < probability <= 1 for _, probability in found)


def test_a_language_is_found_among_those_that_are_named(model: WhisperModel) -> None:
    states = np.stack(model.encode([wave(4, seed) for seed in range(3)]))
    likeliest = model.languages(states, [()] * 3)[0][0]
    others = [language for language in ("ja", "de", "en") if language != likeliest]
    (one, certain), (either, likely), _ = model.languages(states, [others[:1], others, ()])
    assert one == others[0]
    assert certain == pytest.approx(1.0)
    assert either in others
    assert 0.5 <= likely <= 1.0


def test_alignment_gives_one_more_place_than_tokens(model: WhisperModel) -> None:
    batch = np.stack(model.encode([wave(4), wave(4, 1)]))
    start = model.vocabulary.prompt(DecodeOptions("m"), "en").start
    found = model.align(batch, start, [[300, 301, 302], [400]], [150, 200])
    places = [one.starts for one in found]
    assert [len(places[0]), len(places[1])] == [4, 2]
    assert [len(one.logprobs) for one in found] == [3, 1]
    for row, length in zip(places, [150, 200], strict=True):
        assert list(row) == sorted(row)
        assert 0 <= row[0] <= row[-1] <= length


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="does not load") as refused:
        load(tmp_path)
    assert refused.value.code == "bad_model"
