"""What whole files ask of the engine: no token probabilities, finer lengths, temperature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from cohear_server.core.jobs import DecodeOptions
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.features import waveform
from cohear_server.engine.hypothesis import Hypothesis
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.prompts import Prompt
from cohear_server.engine.tail import FILLED_STATES, FINE_STATES
from cohear_server.engine.whisper import Batch, Search

from tests.samples import Sample, load_samples

from .jobs import make_job, noise


@pytest.fixture(scope="module")
def sample() -> Sample:
    return load_samples(speech=True, at_least_s=2.0, lang="en")[0]


def tiny(folder: Path, **options: object) -> WhisperEngine:
    fixed = EngineOptions("tiny.en", folder, device="cpu", compute_type="int8", threads=1, **options)  # type: ignore[arg-type]
    return WhisperEngine(fixed)


@pytest.mark.model
def test_without_token_probabilities_words_and_their_mean_are_the_same(tiny_en_dir: Path, sample: Sample) -> None:
    exact, lean = tiny(tiny_en_dir), tiny(tiny_en_dir, token_probabilities=False)
    jobs = [make_job(sample.pcm16k(), language="en"), make_job(sample.pcm16k(), language="en", word_times=True)]
    for full, short in zip(exact.decode(jobs), lean.decode(jobs), strict=True):
        assert short.text == full.text
        assert short.mean_logprob == pytest.approx(full.mean_logprob, abs=0.05)
    measured, estimated = (result[1].words for result in (exact.decode(jobs), lean.decode(jobs)))
    for one, other in zip(measured, estimated, strict=True):
        assert other.probability == pytest.approx(one.probability, abs=0.05)
        assert (other.start_samples, other.end_samples) == (one.start_samples, one.end_samples)


@pytest.mark.model
def test_text_and_times_do_not_depend_on_company(tiny_en_dir: Path, sample: Sample) -> None:
    engine = tiny(tiny_en_dir, token_probabilities=False, filled_states=FINE_STATES)
    pcm = sample.pcm16k()
    jobs = [make_job(pcm[: len(pcm) - n * 2_000], str(n), language="en", word_times=True) for n in range(5)]
    together = engine.decode(jobs)
    alone = [engine.decode([job])[0] for job in jobs]
    assert [r.text for r in together] == [r.text for r in alone]
    assert [[(w.start_samples, w.end_samples) for w in r.words] for r in together] == [
        [(w.start_samples, w.end_samples) for w in r.words] for r in alone
    ]


@pytest.mark.model
def test_finer_lengths_are_told_to_whoever_makes_batches(tiny_en_dir: Path) -> None:
    coarse, fine = tiny(tiny_en_dir), tiny(tiny_en_dir, filled_states=FINE_STATES)
    assert len(fine.info.window_steps_s) > len(coarse.info.window_steps_s) == len(FILLED_STATES) - 1


def test_temperature_draws_and_0_does_not(random_model_dir: Callable[[int], Path]) -> None:
    model = WhisperEngine(EngineOptions("random", random_model_dir(80), device="cpu", threads=1)).model
    batch = np.stack(model.encode([waveform(noise(2.0), 32_000)]))
    prompt = model.vocabulary.prompt(DecodeOptions("random"), "en")

    def texts(temperature: float) -> set[tuple[int, ...]]:
        return {model.generate(batch, [prompt], Search(1, 12, temperature))[0].tokens for _ in range(5)}

    assert len(texts(0.0)) == 1
    assert len(texts(1.0)) > 1


def test_windows_of_several_temperatures_keep_theirs(
    random_model_dir: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = WhisperEngine(EngineOptions("random", random_model_dir(80), device="cpu", threads=1))
    searches: list[tuple[float, int]] = []
    generate = engine.model.generate

    def watched(batch: Batch, prompts: Sequence[Prompt], search: Search) -> list[Hypothesis]:
        searches.append((search.temperature, len(prompts)))
        return generate(batch, prompts, search)

    monkeypatch.setattr(engine.model, "generate", watched)
    kinds = (0.0, 0.5, 0.0)
    engine.decode([make_job(noise(2.0, i), str(i), language="en", temperature=t) for i, t in enumerate(kinds)])
    assert searches[:2] == [(0.0, 2), (0.5, 1)]
