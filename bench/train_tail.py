"""Trains a model's end states: a few vectors after a short window, with which the decoder writes as after 30 s.

    python bench/train_tail.py --train DIR --model tiny.en --out DIR [--states 16] [--silence-ms 200]

Needs the extra `train` (JAX; a CPU will do: half an hour for tiny.en). The teacher is the model itself, padded to 30 s:
its greedy tokens and the probabilities of the next ones. The speech is whole utterances and windows cut in mid-speech.
The loss is the divergence of the decoder's next-token probabilities after [short states, end states] from the
teacher's; the end of text counts `END_WEIGHT` times. Only the vectors change. The result is the model's own profile
with these states for partials; measure it with tail_states.py before it is committed.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ctranslate2
import jax
import jax.numpy as jnp
import numpy as np
from cohear_server.core.jobs import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, DecodeOptions, Pcm
from cohear_server.engine.features import padded_length, waveform
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.profile import Profile, find_profile, kept_tables, profiles_dir, write_profile
from cohear_server.engine.tail import MAX_STATES, EndStates, States, filled_length
from cohear_server.engine.whisper import WhisperModel
from cohear_server.lab.clips import Clip, read_clips
from cohear_server.models.catalog import find_model
from cohear_server.models.sources import SourceOptions
from ct2_weights import read_weights
from numpy.typing import NDArray
from whisper_jax import Array, Decoder

WHOLE_S = (2.0, 15.0)
CUT_S = (0.8, 6.0)
CUT_SHARE = 0.5
"""share of windows that are cut in mid-speech"""
WINDOWS_S = (3.5, 6.5, 11.5, 16.5, 21.5)
"""the longest window of each filled length; the same as with averages (350, 500, ... states)"""
BATCH = 8
LIKELY = 24
"""the teacher gives the probabilities of so many tokens at each position"""
END_WEIGHT = 3.0
LENGTHS = (16, 32, 48, 64, 128)
"""texts are padded to one of these lengths, so that few shapes are compiled"""
LEARNING_RATE = 0.05
"""against states of norm 19 (tiny.en)"""
FIRST_PLACE = 250
"""training begins from the averaged states at this position (5 s)"""
HELD_OUT = 120
TELL_STEPS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A short window, and the teacher's text and probabilities for it."""

    states: States
    tokens: list[int]
    likely: list[tuple[NDArray[np.int32], NDArray[np.float32]]]
    """tokens and their probabilities at each position; the last position is the end of text"""


class Teacher:
    """The model as CTranslate2 runs it, padded to 30 s."""

    def __init__(self, model: WhisperModel, folder: Path, options: DecodeOptions, silence_ms: int) -> None:
        self._model = model
        self._raw = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="int8", intra_threads=1)
        self._prompt = model.vocabulary.prompt(options, options.language or "")
        self._end = model.vocabulary.end_of_text
        self._silence_ms = silence_ms

    @property
    def start(self) -> list[int]:
        return list(self._prompt.tokens)

    def lesson(self, pcm: Pcm) -> Lesson | None:
        """None where the teacher hears nothing, or does not end its text."""
        longest = int(6 + 5 * len(pcm) / SAMPLE_RATE_HZ)
        padded = self._model.encode([waveform(pcm, MAX_WINDOW_SAMPLES)])[0]
        view = ctranslate2.StorageView.from_array(np.ascontiguousarray(padded[None]))
        prompts = [self._prompt.tokens]
        said = self._raw.generate(
            view, prompts, beam_size=1, max_length=2 * longest, return_logits_vocab=True, sampling_topk=1
        )[0]
        tokens = list(said.sequences_ids[0])
        if not 0 < len(tokens) < longest:
            return None
        likely = [_likely(np.array(logits).ravel()) for logits in said.logits[0][: len(tokens) + 1]]
        if len(likely) == len(tokens):
            likely.append((np.array([self._end], np.int32), np.ones(1, np.float32)))
        short = self._model.encode([waveform(pcm, padded_length(len(pcm), self._silence_ms, 1))])[0]
        return Lesson(short, tokens, likely)


def _likely(logits: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    best = np.argpartition(-logits, LIKELY)[:LIKELY]
    shares = np.exp(logits[best] - logits.max())
    return best.astype(np.int32), (shares / shares.sum()).astype(np.float32)


def lessons(teacher: Teacher, clips: Sequence[Clip], count: int) -> list[Lesson]:
    chance = np.random.default_rng(1)
    found: list[Lesson] = []
    for i in chance.permutation(len(clips)):
        if len(found) == count:
            break
        pcm = clips[i].pcm()
        longest_s = min(CUT_S[1], clips[i].seconds - 0.5)
        if chance.uniform() < CUT_SHARE and longest_s > CUT_S[0]:
            pcm = pcm[: int(chance.uniform(CUT_S[0], longest_s) * SAMPLE_RATE_HZ)]
        lesson = teacher.lesson(pcm)
        if lesson is not None:
            found.append(lesson)
            if len(found) % 100 == 0:
                print(f"{len(found)} of {count} windows heard", flush=True)
    return found


class Course:
    """Gradient descent (Adam, cosine) on the end states."""

    def __init__(self, weights: Any, start: Sequence[int], end: int, filled: Sequence[int], states: int) -> None:
        decoder = Decoder.of(weights)
        self._weights = {name: jnp.asarray(values) for name, values in weights.items()}
        self._start, self._end, self._filled, self._states = list(start), end, filled, states

        def loss(tail: Array, weights: Any, batch: dict[str, Array]) -> Array:
            places = jnp.arange(batch["memory"].shape[1])[None] - batch["lengths"][:, None]
            ends = tail[jnp.clip(places, 0, states - 1)]
            memory = jnp.where((places >= 0)[..., None], ends, batch["memory"])
            said = jax.nn.log_softmax(decoder.logits(weights, batch["tokens"], memory), -1)
            cross = -(jnp.take_along_axis(said, batch["likely"], -1) * batch["shares"]).sum(-1)
            entropy = -(batch["shares"] * jnp.log(jnp.maximum(batch["shares"], 1e-9))).sum(-1)
            return ((cross - entropy) * batch["counts"]).sum() / batch["counts"].sum()

        self._loss, self._slope = jax.jit(loss), jax.jit(jax.value_and_grad(loss))

    def groups(self, lessons: Sequence[Lesson]) -> list[list[Lesson]]:
        """By filled length."""
        found: defaultdict[int, list[Lesson]] = defaultdict(list)
        for lesson in lessons:
            found[filled_length(len(lesson.states), self._states, self._filled)].append(lesson)
        return list(found.values())

    def batch(self, lessons: Sequence[Lesson]) -> dict[str, NDArray[Any]]:
        """Lessons of one filled length as arrays; padding has weight 0."""
        first = len(self._start)
        longest = first + 1 + max(len(one.tokens) for one in lessons)
        shape = (len(lessons), next(length for length in LENGTHS if longest <= length))
        frames = filled_length(len(lessons[0].states), self._states, self._filled)
        tokens = np.full(shape, self._end, np.int32)
        likely, shares = np.zeros((*shape, LIKELY), np.int32), np.zeros((*shape, LIKELY), np.float32)
        counts = np.zeros(shape, np.float32)
        memory = np.zeros((len(lessons), frames, lessons[0].states.shape[1]), np.float32)
        for i, one in enumerate(lessons):
            text = [*self._start, *one.tokens]
            tokens[i, : len(text)] = text
            memory[i, : len(one.states)] = one.states
            for place, (best, share) in enumerate(one.likely, first - 1):
                likely[i, place, : len(best)], shares[i, place, : len(best)] = best, share
            counts[i, first - 1 : len(text)] = 1.0
            counts[i, len(text) - 1] = END_WEIGHT
        lengths = np.array([len(one.states) for one in lessons], np.int32)
        told = {"tokens": tokens, "likely": likely, "shares": shares, "counts": counts}
        return {"memory": memory, "lengths": lengths, **told}

    def measure(self, tail: Array, lessons: Sequence[Lesson]) -> float:
        """The mean loss over these lessons."""
        sums = [
            len(part) * float(self._loss(tail, self._weights, self.batch(part)))
            for group in self.groups(lessons)
            for part in (group[at : at + BATCH] for at in range(0, len(group), BATCH))
        ]
        return sum(sums) / len(lessons)

    def run(self, tail: Array, taught: Sequence[Lesson], held_out: Sequence[Lesson], steps: int) -> Array:
        """The states with the least loss on the held-out lessons."""
        chance = np.random.default_rng(0)
        groups = self.groups(taught)
        # long windows are rarer, but as important
        odds = np.sqrt([len(group) for group in groups])
        mean = square = jnp.zeros_like(tail)
        best, best_loss = tail, self.measure(tail, held_out)
        print(f"before: {best_loss:.4f}", flush=True)
        begun_s = time.monotonic()
        for step in range(1, steps + 1):
            group = groups[chance.choice(len(groups), p=odds / odds.sum())]
            chosen = [group[i] for i in chance.choice(len(group), BATCH)]
            _, slope = self._slope(tail, self._weights, self.batch(chosen))
            slope = slope * jnp.minimum(1.0, 1.0 / jnp.sqrt((slope**2).sum()))
            mean, square = 0.9 * mean + 0.1 * slope, 0.99 * square + 0.01 * slope**2
            rate = LEARNING_RATE * min(1.0, step / 20) * (1 + np.cos(np.pi * step / steps)) / 2
            tail = tail - rate * (mean / (1 - 0.9**step)) / (jnp.sqrt(square / (1 - 0.99**step)) + 1e-8)
            if step % TELL_STEPS == 0 or step == steps:
                loss = self.measure(tail, held_out)
                print(f"step {step}: {loss:.4f} ({time.monotonic() - begun_s:.0f} s)", flush=True)
                if loss < best_loss:
                    best, best_loss = tail, loss
        return best


def main() -> int:
    args = _parse()
    found = find_model(args.model, options=SourceOptions())
    profile = find_profile(found.name)
    if profile is None or not profile.short_windows:
        raise SystemExit(f"{args.model} has no profile for short windows: cohear models profile {args.model}")
    model = WhisperModel(EngineOptions(found.name, found.directory, "cpu", "int8", workers=1, threads=1))
    clips = [c for c in read_clips(args.train) if c.lang == args.language and WHOLE_S[0] <= c.seconds <= WHOLE_S[1]]
    teacher = Teacher(model, found.directory, DecodeOptions(found.name, args.language), args.silence_ms)
    every = lessons(teacher, clips, args.windows)
    filled = tuple(math.ceil(50 * (s + args.silence_ms / 1000)) + args.states for s in WINDOWS_S)
    weights = read_weights(found.directory / "model.bin")
    course = Course(weights, teacher.start, model.vocabulary.end_of_text, (*filled, MAX_STATES), args.states)
    nothing = np.zeros((0, every[0].states.shape[1]), np.float32)
    before = profile.tail.fill(nothing, FIRST_PLACE + args.states)[-args.states :]
    tail = course.run(jnp.asarray(before), every[HELD_OUT:], every[:HELD_OUT], args.steps)
    store(args, profile, EndStates(np.asarray(tail)), (*filled, MAX_STATES))
    return 0


def store(args: argparse.Namespace, profile: Profile, tail: EndStates, filled: tuple[int, ...]) -> None:
    own = {"silence_ms": args.silence_ms, "tail_states": args.states, "filled_states": filled}
    partials = replace(profile, tail=tail, partials=None, **own)
    tables = kept_tables(profiles_dir() / args.model)
    write_profile(args.out / args.model, replace(profile, partials=partials), tables)
    print(f"written to {args.out / args.model}; measure it: bench/tail_states.py --profile {args.out / args.model}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--train", type=Path, required=True, metavar="DIR", help="folder with a manifest.jsonl")
    parser.add_argument("--model", default="tiny.en", help="(default: %(default)s)")
    parser.add_argument("--language", default="en", help="of the clips (default: %(default)s)")
    parser.add_argument("--states", type=int, default=16, help="vectors to train (default: %(default)s)")
    parser.add_argument("--silence-ms", type=int, default=200, help="encoded before them (default: %(default)s)")
    parser.add_argument("--windows", type=int, default=1200, help="to learn from (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=800, help="of 8 windows each (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of profiles to write to")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
