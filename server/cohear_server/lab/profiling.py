"""Makes a model's window profile from its weights and some speech. A tool: nothing at run time needs it.

Tail states are averaged over one part of the speech. On the other part, settings are tried from the cheapest up. The
first one that is as good as padding to 30 s is taken: as few word errors on whole utterances, partials that hardly
differ, and no loops. A model for which no setting is good enough stays padded, and its profile says why. docs/engine.md
says how the settings to try were found.

The usual setting was right for every model measured so far, so leaving it needs evidence. A cheaper setting must show
that it is as good, beyond chance. A dearer one is taken only if the usual one is shown to be worse, beyond chance. So a
few clips give the usual setting, and many clips the best one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.jobs import MAX_WINDOW_SAMPLES, JobKind
from ..engine.engine import WhisperEngine
from ..engine.options import EngineOptions
from ..engine.profile import Profile, Value, kept_tables, write_profile
from ..engine.tail import MAX_STATES, States, TailStates
from ..errors import ClientError
from .trial_speech import read_speech
from .trials import Errors, Reading, Utterance, cut_in_speech, errors, hear, joined

Progress = Callable[[str], None]
Wave = NDArray[np.float32]

FIT, WHOLE, CUT, LONG = 30, 60, 100, 8
"""most windows of each kind: averaged; measured whole; cut in mid-speech; joined to half a minute"""
TOO_FEW = 6
"""fewer utterances measure nothing"""
CHEAPER, USUAL = (500, 150), (1000, 150)
SETTINGS = (CHEAPER, USUAL, (1000, 300), (1000, 800))
"""silence in ms and tail states to try, the cheapest first"""
CAPS = (6.0, 8.0)
"""limits to try, in tokens a second; eight is the usual one, and nobody speaks English that fast"""
CAP_GAIN = 0.9
"""a lower limit must make partials this much cheaper, because fast speakers and other scripts need more tokens"""
TOKENS_FLOOR = 10
LENGTHS_S = (30.0, 15.0)
"""longest short window to try"""
THINNED = 8
"""positions that share one tail state: measured to be as good, and the file is an eighth as large"""
NO_TAIL = TailStates(np.zeros((1, 1), np.float32), MAX_STATES - 1)
"""the tail of a model that stays padded"""
STATE_SAMPLES = 320
AFTER_SPEECH_STATES = 25
"""half a second: the states right after the clip still depend on its end"""

HEARS_NOTHING = 0.5
"""with a larger share of utterances without text, or of wrong words, the padded model itself is not worth measuring"""
FIRST = ((2, 0.9), (8, HEARS_NOTHING))
"""(utterances, that share) for a first look: a large model takes half a minute for each utterance, and a useless one
should be found with two"""
WORD_ERROR_POINTS = 0.5
"""points of word error by which the usual setting may be worse than padding, beyond chance"""
SHOWN_POINTS = 1.0
"""points by which a cheaper one may be worse, chance included: half a point would need more than 100 clips"""
UNSEEN = 3.0
"""errors that are possible where none was seen (the rule of three): a hundred words show nothing"""
DIFFERENCE_PERCENT = 8.0
"""so many words of utterances without reference may differ from padded ones: near-ties, half of which are better"""
CUT_PERCENT = 15.0
"""the same for windows cut in mid-speech, whose last word cannot be known"""
LOOPED_SHARE = 0.1
"""largest share of windows in which the guard cuts a loop: each one makes its whole batch wait"""


class Encoder(Protocol):
    def encode(self, waves: Sequence[Wave]) -> list[States]: ...


@dataclass(frozen=True, slots=True, eq=False)
class ProfileOutcome:
    """The result of measuring a model."""

    profile: Profile
    folder: Path
    """where profile.toml and tail.npz were written"""
    reason: str
    """one sentence: what was chosen and on what figures, or why the model stays padded to 30 s"""

    @property
    def short_windows(self) -> bool:
        return self.profile.short_windows


@dataclass(frozen=True, slots=True)
class Measured:
    """One setting against 30 s."""

    whole: Reading
    cut: Reading
    wrong: Errors
    differing: Errors
    """words of cut windows that differ from the padded ones"""


class Bench:
    """A model, the speech to measure it on, and its texts when padded to 30 s."""

    def __init__(self, engine: WhisperEngine, speech: Sequence[Utterance], progress: Progress) -> None:
        self.engine, self.progress = engine, progress
        self.whole = sorted(speech[:WHOLE], key=lambda one: one.seconds)
        self.referenced = all(one.reference is not None for one in self.whole)
        self.cut: list[Utterance] = []
        self.long: list[Utterance] = []

    def hear_padded(self) -> str | None:
        """Why the model is no use even padded to 30 s; None if it is."""
        self.progress(f"{len(self.whole)} utterances, padded to 30 s")
        for count, share in FIRST:
            step = len(self.whole) // count
            few = self.whole[step - 1 :: step] if step > 1 else []
            if few and (fault := self._fault(few, hear(self.engine, None, few, JobKind.FINAL), share)):
                return fault
        self.padded = hear(self.engine, None, self.whole, JobKind.FINAL)
        if fault := self._fault(self.whole, self.padded, HEARS_NOTHING):
            return fault
        # the language that was found is used for all settings
        found = [replace(one, language=lang) for one, lang in zip(self.whole, self.padded.languages, strict=True)]
        self.whole, self.long = found, joined(found, LONG)
        self.cut = cut_in_speech(found, min(CUT, 8 * len(found)))
        self.progress(f"{len(self.cut)} windows cut in mid-speech, padded to 30 s")
        self.padded_cut = hear(self.engine, None, self.cut, JobKind.PARTIAL)
        self.padded_wrong = self.wrong(self.whole, self.padded)
        return None

    def _fault(self, windows: Sequence[Utterance], heard: Reading, share: float) -> str | None:
        if heard.unheard > share * len(windows):
            return f"even padded to 30 s it finds no likely words in {heard.unheard} of {len(windows)} utterances"
        if len(windows) > 2 and len(set(heard.texts)) == 1:
            return "even padded to 30 s it writes the same whatever it hears"
        if self.referenced and (wrong := self.wrong(windows, heard)).percent > 100 * share:
            return f"even padded to 30 s it has {wrong.percent:.0f} % of the words wrong"
        return None

    def wrong(self, windows: Sequence[Utterance], heard: Reading) -> Errors:
        """Against the references, or against the padded texts where there are none."""
        if not self.referenced:
            return errors(self.padded.texts, heard.texts)
        return errors([one.reference or "" for one in windows], heard.texts)

    def measure(self, profile: Profile) -> Measured:
        whole = hear(self.engine, profile, self.whole, JobKind.FINAL)
        cut = hear(self.engine, profile, self.cut, JobKind.PARTIAL)
        trial = Measured(whole, cut, self.wrong(self.whole, whole), errors(self.padded_cut.texts, cut.texts))
        self.progress(
            f"{profile.silence_ms} ms + {profile.tail_states} states, {profile.tokens_per_s:g} tokens/s: "
            f"{trial.wrong.percent:.2f} % wrong (padded {self.padded_wrong.percent:.2f}), "
            f"cut windows {trial.differing.percent:.1f} % different, {cut.looped} loops cut, "
            f"CPU {whole.cpu_ms:.0f} and {cut.cpu_ms:.0f} ms (padded {self.padded.cpu_ms:.0f}, "
            f"{self.padded_cut.cpu_ms:.0f})"
        )
        return trial

    def fault_of(self, trial: Measured, *, cheaper: bool = False) -> str | None:
        """Why a setting is not good enough; None if it is. Chance excuses the usual setting, not a cheaper one."""
        doubt = " or too few to tell" if cheaper else ""
        if trial.wrong.errors > self.padded_wrong.errors + self._spare(trial.wrong, self.padded_wrong, cheaper):
            wrong = f"{trial.wrong.percent:.2f} % of the {trial.wrong.words} words"
            return f"{wrong} wrong, padded {self.padded_wrong.percent:.2f} %: too many{doubt}"
        if trial.differing.errors > _allowed(CUT_PERCENT, trial.differing.words, trial.differing.spread, cheaper):
            differing = f"{trial.differing.percent:.1f} % of the {trial.differing.words} words of cut windows"
            return f"{differing} differ from padded ones: too many{doubt}"
        left = trial.whole.loops_left + trial.cut.loops_left - self._loops_padded()
        if left > 0:
            return f"{left} texts more than padded end in a loop"
        if trial.cut.looped > LOOPED_SHARE * len(self.cut):
            return f"{trial.cut.looped} of {len(self.cut)} cut windows run into a loop"
        return None

    def long_is_safe(self, profile: Profile) -> bool:
        """Whether windows of half a minute, made of joined utterances, are good. False where there are none."""
        if not self.long:
            return False
        padded = hear(self.engine, None, self.long, JobKind.FINAL)
        short = hear(self.engine, profile, self.long, JobKind.FINAL)
        wanted = [one.reference or "" for one in self.long] if self.referenced else list(padded.texts)
        ours, theirs = errors(wanted, short.texts), errors(wanted, padded.texts)
        self.progress(f"{len(self.long)} windows of half a minute: {ours.errors} words wrong, padded {theirs.errors}")
        return ours.errors <= theirs.errors + self._spare(ours, theirs) and short.loops_left <= padded.loops_left

    def _spare(self, ours: Errors, padded: Errors, cheaper: bool = False) -> float:
        """How many more words than with padding may be wrong."""
        points = SHOWN_POINTS if cheaper else WORD_ERROR_POINTS
        return _allowed(points if self.referenced else DIFFERENCE_PERCENT, ours.words, ours.spread_to(padded), cheaper)

    def _loops_padded(self) -> int:
        return self.padded.loops_left + self.padded_cut.loops_left


def _allowed(percent: float, words: int, spread: float, cheaper: bool) -> float:
    """Allowed errors in `words`: `percent` of them, plus chance, or minus chance for a cheaper setting."""
    return percent / 100 * words + (-max(UNSEEN, spread) if cheaper else max(1.0, spread))


def make_profile(model_dir: Path, name: str, audio: Path, out: Path, progress: Progress) -> ProfileOutcome:
    """Measure a model and write its profile to `out`/`name`. `progress` is told a line at a time.

    `audio` is a folder (with or without manifest.jsonl) or a manifest. Raises ClientError(`bad_model`) for a folder
    that holds no model, and ClientError(`bad_audio`) where there is too little speech to measure with."""
    options = EngineOptions(name, model_dir, device="cpu", compute_type="int8", threads=1)
    engine = WhisperEngine(options, use_profile=False)
    fit, speech = _parts(_known(read_speech(audio), engine.info.languages), audio)
    bench = Bench(engine, speech, progress)
    reason = bench.hear_padded()
    sha256 = file_sha256(model_dir / "model.bin")
    profile = Profile(name, sha256, False, *SETTINGS[-1], LENGTHS_S[-1], CAPS[-1], TOKENS_FLOOR, NO_TAIL)
    measured: dict[str, Value] = {}
    if reason is None:
        progress(f"tail states from {len(fit)} utterances")
        tail = build_tail(engine.model, [one.pcm.astype(np.float32) / np.float32(32768) for one in fit])
        profile, measured, reason = _choose(bench, replace(profile, tail=tail.thinned(THINNED)))
    if not profile.short_windows:
        profile = replace(profile, tail=NO_TAIL)
    profile = replace(profile, reason=reason)
    write_profile(out / name, profile, {**kept_tables(out / name), "measured": measured})
    return ProfileOutcome(profile, out / name, reason)


def _known(speech: Sequence[Utterance], languages: Sequence[str]) -> list[Utterance]:
    """Without utterances in a language that the model does not know."""
    return [one for one in speech if one.language is None or one.language in languages]


def _parts(speech: Sequence[Utterance], audio: Path) -> tuple[Sequence[Utterance], Sequence[Utterance]]:
    """Utterances to average, and to measure; different ones, if there are enough."""
    if len(speech) < TOO_FEW:
        raise ClientError(
            "bad_audio",
            f"{audio} has {len(speech)} clips of 1 to 15 s of speech that the model knows",
            f"give at least {TOO_FEW}, better 100, as flac, wav or ogg",
        )
    if len(speech) < 2 * FIT:
        return speech[:FIT], speech
    return speech[:FIT], speech[FIT:]


def _choose(bench: Bench, base: Profile) -> tuple[Profile, dict[str, Value], str]:
    """The cheapest safe setting, the figures it rests on, and the reason in words."""
    fault: str | None = None
    for silence_ms, tail_states in SETTINGS:
        profile = replace(base, short_windows=True, silence_ms=silence_ms, tail_states=tail_states)
        trial = bench.measure(profile)
        fault = bench.fault_of(trial, cheaper=(silence_ms, tail_states) == CHEAPER)
        if fault is None:
            break
        bench.progress(f"not taken: {fault}")
    else:
        return base, _evidence(bench, trial), f"no setting is safe; the last one tried: {fault}"
    for cap in CAPS[:-1]:
        lower = bench.measure(replace(profile, tokens_per_s=cap))
        gains = lower.cut.cpu_ms < CAP_GAIN * trial.cut.cpu_ms
        if gains and bench.fault_of(lower, cheaper=True) is None and lower.wrong.errors <= trial.wrong.errors:
            profile, trial = replace(profile, tokens_per_s=cap), lower
            break
    longest_s = LENGTHS_S[0] if bench.long_is_safe(replace(profile, max_window_s=LENGTHS_S[0])) else LENGTHS_S[-1]
    reason = (
        f"{trial.wrong.percent:.2f} % of words wrong, padded {bench.padded_wrong.percent:.2f} %, at "
        f"{trial.whole.cpu_ms / bench.padded.cpu_ms:.2f} of the cost; "
        f"partials at {trial.cut.cpu_ms / bench.padded_cut.cpu_ms:.2f}"
    )
    return replace(profile, max_window_s=longest_s), _evidence(bench, trial), reason


def _evidence(bench: Bench, trial: Measured) -> dict[str, Value]:
    return {
        "compared_with": "references" if bench.referenced else "padded text",
        "utterances": len(bench.whole),
        "seconds": round(sum(one.seconds for one in bench.whole), 1),
        "words": trial.wrong.words,
        "word_error_short": round(trial.wrong.percent, 2),
        "word_error_padded": round(bench.padded_wrong.percent, 2),
        "cut_windows": len(bench.cut),
        "cut_words_different_percent": round(trial.differing.percent, 2),
        "cut_loops_trimmed": trial.cut.looped,
        "cut_loops_trimmed_padded": bench.padded_cut.looped,
        "cut_loops_left": trial.cut.loops_left,
        "utterances_retried": trial.whole.retried,
        "cpu_ms_short": round(trial.whole.cpu_ms, 1),
        "cpu_ms_padded": round(bench.padded.cpu_ms, 1),
        "cpu_ms_cut_short": round(trial.cut.cpu_ms, 1),
        "cpu_ms_cut_padded": round(bench.padded_cut.cpu_ms, 1),
    }


def build_tail(encoder: Encoder, clips: Iterable[Wave]) -> TailStates:
    """The average encoder output, at each position, of the silence after each clip when it is padded to 30 s. Each clip
    counts twice: whole, and cut in mid-speech at half of its length."""
    total: NDArray[np.float64] | None = None
    count = np.zeros((MAX_STATES, 1))
    for whole in clips:
        for clip in (whole, whole[: len(whole) // 2]):
            states = encoder.encode([np.pad(clip, (0, MAX_WINDOW_SAMPLES - len(clip)))])[0]
            silent = len(clip) // STATE_SAMPLES + AFTER_SPEECH_STATES
            total = np.zeros(states.shape) if total is None else total
            total[silent:] += states[silent:]
            count[silent:] += 1
    if total is None:
        raise ValueError("no clips to build tail states from")
    offset = int((count[:, 0] > 0).argmax())
    return TailStates((total[offset:] / count[offset:]).astype(np.float32), offset)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
