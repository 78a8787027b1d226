"""Short windows with tail states against windows padded to 30 s: errors, loops, cost, and whether batches matter.

    python bench/tail_states.py --model tiny.en --speech DIR [--train DIR] [--out bench/results/tail_states.json]

Measured are whole utterances of 1 to 15 s with references, one set for each language; windows cut in mid-speech; and
mixed batches against single decodes. The committed profile is used; with --train the tail states are averaged again
from that speech, and with --settings other settings are tried. Cost is CPU time of the process with one thread, int8,
batch size 8. The compared ways are decoded in turn, batch by batch, because a shared machine changes its speed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `cohear` does; idle threads of numpy would count as cost

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cohear_server.core.jobs import JobKind
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.profile import Profile, read_profile
from cohear_server.lab.profiling import build_tail
from cohear_server.lab.trial_speech import read_speech
from cohear_server.lab.trials import BATCH, Reading, Utterance, cut_in_speech, ends_in_loop, hear
from cohear_server.models.catalog import find_model
from cohear_server.models.sources import SourceOptions
from speech import Clip, Errors, circumstances, error_rate, rate_difference, read_clips, word_errors, write_result

SECONDS = (1.0, 15.0)
COST_S = {"all": SECONDS, "5_to_15_s": (5.0, 15.0)}
"""lengths of the utterances whose cost is shown"""
PARTIAL_S = 4.0
FIT = 40


def main() -> int:
    args = _parse()
    folder = find_model(args.model, options=SourceOptions()).directory
    engine = WhisperEngine(EngineOptions(args.model, folder, device="cpu", compute_type="int8", threads=1))
    profile = read_profile(args.profile) if args.profile else engine.profile
    if profile is None:
        raise SystemExit(f"model {args.model} has no profile; make one with lab.profiling.make_profile")
    if args.train:
        fit = [one.pcm.astype(np.float32) / np.float32(32768) for one in read_speech(args.train)[:FIT]]
        profile = replace(profile, tail=build_tail(engine.model, fit))
    settings = args.settings or [(profile.silence_ms, profile.tail_states)]
    clips = [clip for clip in read_clips(args.speech) if clip.reference and clip.corpus != "fsdd"]
    clips = [clip for clip in clips if SECONDS[0] <= clip.seconds <= SECONDS[1] and clip.lang in engine.info.languages]
    profiles = [
        replace(profile, silence_ms=ms, tail_states=states, partials=None if args.settings else profile.partials)
        for ms, states in settings
    ]
    windows = cut_in_speech([Utterance(clip.pcm(), clip.lang) for clip in clips], args.cut)
    rows, together = cut(engine, profiles, windows, args.cut_padded)
    result: dict[str, Any] = {
        "benchmark": "tail_states",
        **circumstances(),
        "model": args.model,
        "cut": rows,
        "mixed_batches": mixed(engine, profiles[-1], windows[: args.singles], together),
        "references_taken_for_loops": [clip.reference for clip in clips if ends_in_loop(clip.reference)],
        "whole": whole(engine, profiles, sorted(clips, key=lambda clip: clip.seconds)[:: args.every], args.rounds),
    }
    if args.out:
        write_result(args.out, result)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--speech", type=Path, required=True, metavar="DIR", help="folder with a manifest.jsonl")
    parser.add_argument("--train", type=Path, metavar="DIR", help="other speech, to average tail states over")
    parser.add_argument("--model", default="tiny.en", help="(default: %(default)s)")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="a profile that is not the committed one")
    parser.add_argument("--settings", type=_setting, nargs="+", metavar="MS+STATES", help="such as 500+150 1000+300")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each Nth utterance only")
    parser.add_argument("--rounds", type=int, default=3, help="of the cost of utterances (default: %(default)s)")
    parser.add_argument("--cut", type=int, default=2000, help="windows cut in mid-speech (default: %(default)s)")
    parser.add_argument("--cut-padded", type=int, default=160, help="of them also padded (default: %(default)s)")
    parser.add_argument("--singles", type=int, default=320, help="of them also alone (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the result there")
    return parser.parse_args()


def _setting(text: str) -> tuple[int, int]:
    silence_ms, _, states = text.partition("+")
    return int(silence_ms), int(states)


def whole(
    engine: WhisperEngine, profiles: Sequence[Profile], clips: Sequence[Clip], rounds: int
) -> list[dict[str, Any]]:
    """Word error of each language, padded first; and the cost of each setting as a share of the padded decode."""
    rows: list[dict[str, Any]] = []
    first: dict[str, list[Errors]] = {}
    for profile in (None, *profiles):
        heard = hear(engine, profile, [_utterance(clip) for clip in clips], JobKind.FINAL)
        found = {lang: _errors(clips, heard, lang) for lang in sorted({clip.lang for clip in clips})}
        row: dict[str, Any] = _label(profile)
        row["retried"] = heard.retried
        row["loops_trimmed"] = heard.looped
        row["loops_left"] = heard.loops_left
        for lang, counts in found.items():
            row[lang] = error_rate(counts)
            if profile:
                row[lang]["difference"] = rate_difference(counts, first[lang])
        first = first or found
        if profile:
            row["cost"] = {
                name: costs(engine, profile, [_utterance(c) for c in clips if low <= c.seconds <= high], rounds)
                for name, (low, high) in COST_S.items()
            }
        rows.append(row)
        print(row, flush=True)
    return rows


def costs(engine: WhisperEngine, profile: Profile, windows: Sequence[Utterance], rounds: int) -> dict[str, Any]:
    """CPU time of a window in ms, padded and short, measured in turn: the medians, and the share in each round."""
    padded, short = [], []
    for _ in range(rounds):
        sums = [0.0, 0.0]
        for at in range(0, len(windows), BATCH):
            part = windows[at : at + BATCH]
            for i, setting in enumerate((None, profile)):
                sums[i] += hear(engine, setting, part, JobKind.FINAL).cpu_ms * len(part)
        padded.append(sums[0] / len(windows))
        short.append(sums[1] / len(windows))
    shares = sorted(s / p for s, p in zip(short, padded, strict=True))
    return {
        "windows": len(windows),
        "mean_s": round(sum(window.seconds for window in windows) / len(windows), 2),
        "padded_ms": round(statistics.median(padded), 1),
        "short_ms": round(statistics.median(short), 1),
        "share_of_padded_cost": round(statistics.median(shares), 3),
        "shares": [round(share, 3) for share in shares],
    }


def _utterance(clip: Clip) -> Utterance:
    return Utterance(clip.pcm(), clip.lang)


def _errors(clips: Sequence[Clip], heard: Reading, lang: str) -> list[Errors]:
    return [
        word_errors(clip.reference, text, lang)
        for clip, text in zip(clips, heard.texts, strict=True)
        if clip.lang == lang
    ]


def cut(
    engine: WhisperEngine, profiles: Sequence[Profile], windows: Sequence[Utterance], padded_too: int
) -> tuple[list[dict[str, Any]], Reading]:
    """Loops in all windows, and the cost of those up to 4 s; texts that the rules changed against padded ones.

    Also returns the texts at the last setting."""
    partial = [window for window in windows if window.seconds <= PARTIAL_S][:padded_too]
    padded = hear(engine, None, partial, JobKind.PARTIAL)
    rows: list[dict[str, Any]] = [{**_label(None), "windows": len(partial), "cpu_ms_to_4_s": round(padded.cpu_ms, 1)}]
    rows[0]["loops_trimmed"] = padded.looped
    for profile in profiles:
        heard = hear(engine, profile, windows, JobKind.PARTIAL)
        cost = hear(engine, profile, partial, JobKind.PARTIAL).cpu_ms
        trimmed = [i for i, rules in enumerate(heard.rules) if {"loop", "token_cap"} & set(rules)]
        longer = hear(engine, None, [windows[i] for i in trimmed], JobKind.PARTIAL).texts
        row = {
            **_label(profile),
            "windows": len(windows),
            "seconds": round(sum(window.seconds for window in windows), 1),
            "rules": dict(Counter(rule for rules in heard.rules for rule in rules)),
            "loops_trimmed": heard.looped,
            "loops_left": heard.loops_left,
            "left": [text for text in heard.texts if ends_in_loop(text)],
            "trimmed_two_words_short_of_padded": sum(
                len(text.split()) >= len(heard.texts[i].split()) + 2 for i, text in zip(trimmed, longer, strict=True)
            ),
            "cpu_ms_to_4_s": round(cost, 1),
            "share_of_padded_cost": round(cost / padded.cpu_ms, 3),
        }
        rows.append(row)
        print(row, flush=True)
    return rows, heard


def mixed(engine: WhisperEngine, profile: Profile, windows: Sequence[Utterance], together: Reading) -> dict[str, Any]:
    """Compares windows decoded in batches of 8 different lengths (`together`) with the same ones decoded alone."""
    alone = [hear(engine, profile, [window], JobKind.PARTIAL) for window in windows]
    differing = [i for i, one in enumerate(alone) if one.texts[0] != together.texts[i]]
    result = {
        "windows": len(windows),
        "differing": len(differing),
        "words_differing": sum(word_errors(alone[i].texts[0], together.texts[i], "en").errors > 0 for i in differing),
        "mean_logprobs": [
            [round(alone[i].mean_logprobs[0], 4), round(together.mean_logprobs[i], 4)] for i in differing
        ],
    }
    print(result, flush=True)
    return result


def _label(profile: Profile | None) -> dict[str, Any]:
    if profile is None:
        return {"setting": "padded to 30 s"}
    return {"setting": f"{profile.silence_ms} ms + {profile.tail_states} states", "tokens_per_s": profile.tokens_per_s}


if __name__ == "__main__":
    sys.exit(main())
