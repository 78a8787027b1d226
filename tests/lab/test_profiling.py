"""Which setting is chosen, and when none is: on heard texts made for it, and on random weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.profile import Profile, read_profile
from cohear_server.errors import ClientError
from cohear_server.lab import profiling
from cohear_server.lab.profiling import NO_TAIL, SETTINGS, Bench, Measured, _choose, make_profile
from cohear_server.lab.trials import Errors, Reading, Utterance

from tests.samples import FOLDER

from ..engine.jobs import noise

QUIET = Reading(("a b",) * 100, ("en",) * 100, ((),) * 100, (0.0,) * 100, cpu_ms=100.0)
LOOP_LEFT = replace(QUIET, texts=("and so on " * 4,))
LOOPED = replace(QUIET, rules=(("loop",), ("token_cap",)) * 6)


def ignore(_: str) -> None:
    pass


@pytest.fixture
def bench() -> Bench:
    """Measured with references on 100 utterances of 1,000 words, 50 of them wrong when padded."""
    bench = Bench.__new__(Bench)
    bench.referenced = True
    bench.padded, bench.padded_cut = QUIET, QUIET
    bench.padded_wrong = Errors(1000, (25, 25))
    bench.cut = [None] * 100  # type: ignore[list-item]
    return bench


GOOD = Measured(QUIET, QUIET, Errors(1000, (28, 27)), Errors(500, (2,) * 20))


@pytest.mark.parametrize(
    ("trial", "fault"),
    [
        (GOOD, None),
        (replace(GOOD, wrong=Errors(1000, (40, 40))), "8.00 % of the 1000 words wrong, padded 5.00 %: too many"),
        (replace(GOOD, differing=Errors(500, (6,) * 20)), "24.0 % of the 500 words of cut windows"),
        (replace(GOOD, cut=LOOP_LEFT), "1 texts more than padded"),
        (replace(GOOD, cut=LOOPED), "12 of 100 cut windows"),
    ],
)
def test_a_setting_must_spoil_nothing(bench: Bench, trial: Measured, fault: str | None) -> None:
    found = bench.fault_of(trial)
    assert found is None if fault is None else fault in (found or "")


def test_one_word_among_few_is_forgiven(bench: Bench) -> None:
    bench.padded_wrong = Errors(40, (2,))
    assert bench.fault_of(replace(GOOD, wrong=Errors(40, (3,)))) is None


def test_what_may_be_chance_is_no_fault_of_the_usual_setting_but_of_a_cheaper_one(bench: Bench) -> None:
    bench.padded_wrong = Errors(136, (8, 8, 0))
    trial = replace(GOOD, wrong=Errors(136, (15, 7, 1)))
    assert bench.fault_of(trial) is None
    assert "16.91 % of the 136 words wrong" in (bench.fault_of(trial, cheaper=True) or "")
    bench.padded_wrong = Errors(1000, (25, 25))
    differing = replace(GOOD, wrong=bench.padded_wrong, differing=Errors(500, (4,) * 20))
    assert bench.fault_of(differing) is None
    assert "16.0 % of the 500 words" in (bench.fault_of(differing, cheaper=True) or "")


@pytest.mark.parametrize(("words", "enough"), [(136, False), (290, False), (310, True), (1000, True)])
def test_no_error_in_few_words_shows_nothing(bench: Bench, words: int, enough: bool) -> None:
    bench.padded_wrong = Errors(words, (2,))
    trial = replace(GOOD, wrong=Errors(words, (2,)))
    assert (bench.fault_of(trial, cheaper=True) is None) == enough


def heard_as(bench: Bench, monkeypatch: pytest.MonkeyPatch, trial_of: Callable[[Profile], Measured]) -> Profile:
    """What is chosen where a setting is heard as `trial_of` says."""
    bench.progress, bench.whole = ignore, []
    monkeypatch.setattr(Bench, "measure", lambda _, profile: trial_of(profile))
    monkeypatch.setattr(Bench, "long_is_safe", lambda *_: True)
    return _choose(bench, Profile("any", "", False, *SETTINGS[-1], 15.0, 8.0, 10, NO_TAIL))[0]


def as_padded(bench: Bench) -> Measured:
    return replace(GOOD, wrong=bench.padded_wrong)


@pytest.mark.parametrize(("words", "silence_ms", "tokens_per_s"), [(136, 1000, 8.0), (1000, 500, 6.0)])
def test_cheaper_than_usual_takes_more_than_a_few_clips(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, words: int, silence_ms: int, tokens_per_s: float
) -> None:
    """Though every setting is heard as well as padded, and a lower cap halves the cost of partials."""
    bench.padded_wrong = Errors(words, (2,))

    def heard(profile: Profile) -> Measured:
        cost = replace(QUIET, cpu_ms=50.0 if profile.tokens_per_s < 8 else 100.0)
        return replace(as_padded(bench), cut=cost)

    chosen = heard_as(bench, monkeypatch, heard)
    assert (chosen.silence_ms, chosen.tail_states) == (silence_ms, 150)
    assert chosen.tokens_per_s == tokens_per_s


@pytest.mark.parametrize(("wrong", "tail_states"), [((6, 4, 1), 150), ((12,) * 6, 300)])
def test_dearer_than_usual_takes_more_than_chance(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, wrong: tuple[int, ...], tail_states: int
) -> None:
    bench.padded_wrong = Errors(300, (2,) * len(wrong))

    def heard(profile: Profile) -> Measured:
        return as_padded(bench) if profile.tail_states > 150 else replace(GOOD, wrong=Errors(300, wrong))

    chosen = heard_as(bench, monkeypatch, heard)
    assert (chosen.silence_ms, chosen.tail_states) == (1000, tail_states)


@pytest.mark.parametrize(
    ("texts", "reason", "windows"),
    [
        (("",), "finds no likely words in 2 of 2 utterances", 2),
        (("x", "y"), "has 100 % of the words wrong", 2),
        (("a b", "", "", ""), "finds no likely words in 6 of 8 utterances", 10),
        (("a b", "x y", "x y", "x y"), "has 75 % of the words wrong", 10),
        (("a b",), "writes the same whatever it hears", 10),
    ],
)
def test_a_useless_model_is_found_out_with_few_utterances(
    monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...], reason: str, windows: int
) -> None:
    """Of 60, each "a b", that are heard as `texts` in turn."""
    heard: list[Utterance] = []

    def hear(engine: object, profile: object, windows: Sequence[Utterance], kind: object) -> Reading:
        heard.extend(windows)
        written = tuple(texts[i % len(texts)] for i in range(len(windows)))
        return replace(QUIET, texts=written)

    monkeypatch.setattr(profiling, "hear", hear)
    speech = [Utterance(noise(1 + i / 100), "en", "a b") for i in range(60)]
    found = Bench(None, speech, ignore).hear_padded()  # type: ignore[arg-type]
    assert reason in (found or "")
    assert len(heard) == windows


@pytest.mark.parametrize("mels", [80, 128])
def test_random_weights_stay_padded_and_say_why(
    random_model_dir: Callable[[int], Path], tmp_path: Path, mels: int
) -> None:
    """Of 128 mels as large-v3-turbo."""
    outcome = make_profile(random_model_dir(mels), "random", FOLDER, tmp_path, ignore)
    assert not outcome.short_windows
    assert "padded" in outcome.reason
    read = read_profile(tmp_path / "random")
    assert (read.short_windows, read.reason) == (False, outcome.reason)
    assert (outcome.folder / "tail.npz").stat().st_size < 1000
    engine = WhisperEngine(EngineOptions("random", random_model_dir(mels), device="cpu", profile_dir=tmp_path))
    assert not engine.info.short_windows


def test_without_references_padded_texts_stand_for_them(
    random_model_dir: Callable[[int], Path], tmp_path: Path
) -> None:
    clips = sorted(FOLDER.glob("*.flac"), key=lambda path: path.stat().st_size)[-8:]
    for clip in clips:
        (tmp_path / clip.name).symlink_to(clip)
    outcome = make_profile(random_model_dir(80), "random", tmp_path, tmp_path / "out", ignore)
    assert not outcome.short_windows


def test_too_little_speech_is_refused(random_model_dir: Callable[[int], Path], tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="0 clips") as refused:
        make_profile(random_model_dir(80), "random", tmp_path, tmp_path / "out", ignore)
    assert refused.value.code == "bad_audio"
