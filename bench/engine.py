"""The limit of the engine: the cost of bare CTranslate2 calls, by window length and batch size.

    python bench/engine.py --speech DIR [--model tiny.en] [--out bench/results/engine.json]

Windows are cut from speech without pauses and have the tail states of partials. A call does only what a decode needs:
log-mel and encoder, the tail, greedy tokens, and with `align` the word times that finals have. Cost is CPU time of the
process with one worker and one thread; the best of the repeats counts. Windows padded to 30 s, as Whisper was trained
and as other servers run it, are measured beside them. Engine efficiency is measured against the best batch size of each
length (`core_s_of_windows`).
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `cohear` does; idle threads of numpy would count as cost

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cohear_server.core.jobs import MAX_WINDOW_SAMPLES, SAMPLE_RATE_HZ, DecodeOptions, JobKind
from cohear_server.engine.features import padded_length, waveform
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.profile import Profile, find_profile
from cohear_server.engine.prompts import Prompt
from cohear_server.engine.tail import MAX_STATES, filled_length
from cohear_server.engine.whisper import Search, WhisperModel
from cohear_server.models.catalog import find_model
from cohear_server.models.sources import SourceOptions
from numpy.typing import NDArray
from speech import circumstances, flags, write_result
from voice import read_spoken

LENGTHS_S = (2, 4, 6, 8, 10, 15)
BATCHES = (1, 2, 4, 8, 16)
STATE_SAMPLES = 320
STAGES = ("encode", "tail", "generate", "align")

Pcm = NDArray[np.int16]
Costs = dict[str, float]


class RawCalls:
    """One decode of a batch of windows of one length, timed stage by stage."""

    def __init__(self, model: WhisperModel, profile: Profile, language: str) -> None:
        self._model = model
        self._profile = profile
        self._prompt: Prompt = model.vocabulary.prompt(DecodeOptions(profile.name, language), language)

    def decode(self, windows: Sequence[Pcm], *, padded: bool) -> Costs:
        """CPU seconds of each stage."""
        profile = self._profile
        samples = MAX_WINDOW_SAMPLES if padded else padded_length(len(windows[0]), profile.silence_ms, 1)
        costs: Costs = {}
        waves = [waveform(pcm, samples) for pcm in windows]
        states = _timed(costs, "encode", lambda: self._model.encode(waves))
        frames = MAX_STATES if padded else filled_length(len(states[0]), profile.tail_states, profile.filled_states)
        batch = _timed(costs, "tail", lambda: np.stack([profile.tail.fill(one, frames) for one in states]))
        limit = profile.tokens_floor + int(profile.tokens_per_s * len(windows[0]) / SAMPLE_RATE_HZ)
        prompts = [self._prompt] * len(windows)
        heard = _timed(costs, "generate", lambda: self._model.generate(batch, prompts, Search(1, limit)))
        texts = [one.tokens for one in heard]
        lengths = [min(len(one), -(-len(pcm) // STATE_SAMPLES)) for one, pcm in zip(states, windows, strict=True)]
        _timed(costs, "align", lambda: self._model.align(batch, self._prompt.start, texts, lengths))
        return costs


def _timed(costs: Costs, stage: str, work: Callable[[], Any]) -> Any:
    begun_s = time.process_time()
    result = work()
    costs[stage] = time.process_time() - begun_s
    return result


def row(calls: RawCalls, windows: Sequence[Pcm], batch: int, repeats: int, *, padded: bool = False) -> dict[str, Any]:
    """All windows in batches of this size; the cheapest repeat counts, because other programs may use the machine."""
    groups = [windows[i : i + batch] for i in range(0, len(windows), batch)]
    sums = []
    for _ in range(repeats):
        costs = [calls.decode(group, padded=padded) for group in groups]
        sums.append({stage: sum(cost[stage] for cost in costs) for stage in STAGES})
    best = min(sums, key=lambda cost: sum(cost.values()))
    audio_s = sum(len(pcm) for pcm in windows) / SAMPLE_RATE_HZ
    without_align_s = sum(best.values()) - best["align"]
    return {
        "window_s": len(windows[0]) / SAMPLE_RATE_HZ,
        "batch": batch,
        "padded": padded,
        "audio_s_per_core_s": round(audio_s / without_align_s, 2),
        "audio_s_per_core_s_with_word_times": round(audio_s / sum(best.values()), 2),
        "ms_a_window": {stage: round(1000 * best[stage] / len(windows), 2) for stage in STAGES},
    }


def core_s_of_windows(engine: Mapping[str, Any], decoded: Mapping[str, Mapping[str, int]]) -> float:
    """Core seconds that the `decoded_windows` of a load report would take at the limit; `engine` is a result of this
    benchmark. Costs between two measured lengths are interpolated; finals have word times."""
    total_s = 0.0
    for kind, lengths in decoded.items():
        name = "audio_s_per_core_s_with_word_times" if kind == "final" else "audio_s_per_core_s"
        best: dict[float, float] = {}
        for one in engine["rows"]:
            if not one["padded"]:
                cost_s = one["window_s"] / one[name]
                best[one["window_s"]] = min(cost_s, best.get(one["window_s"], cost_s))
        measured = sorted(best)
        costs = [best[length] for length in measured]
        total_s += sum(n * float(np.interp(float(s), measured, costs)) for s, n in lengths.items())
    return total_s


def cut(speech: Pcm, seconds: int, count: int) -> list[Pcm]:
    """`count` successive windows; where the speech is too short, it begins again from its start."""
    samples = seconds * SAMPLE_RATE_HZ
    places = len(speech) // samples
    return [speech[i % places * samples :][:samples] for i in range(count)]


def show(one: dict[str, Any]) -> None:
    kind = "padded" if one["padded"] else "short"
    rates = (one["audio_s_per_core_s"], one["audio_s_per_core_s_with_word_times"])
    parts = "  ".join(f"{stage} {ms:7.2f}" for stage, ms in one["ms_a_window"].items())
    print(
        f"{one['window_s']:>4g} s x {one['batch']:<3} {kind:<7} {rates[0]:8.2f} {rates[1]:8.2f}   ms: {parts}",
        flush=True,
    )


def main() -> int:
    args = _parse()
    found = find_model(args.model, options=SourceOptions())
    profile = find_profile(found.name)
    if profile is None or not profile.short_windows:
        raise SystemExit(f"model {found.name} has no profile for short windows")
    profile = profile.of(JobKind.PARTIAL)
    model = WhisperModel(EngineOptions(found.name, found.directory, "cpu", args.compute_type, workers=1, threads=1))
    speech = np.concatenate([clip.pcm for clip in read_spoken(args.speech, args.clips, args.language)])
    calls = RawCalls(model, profile, args.language)
    rows = []
    print("window   batch  kind    audio s a core s (without, with word times)")
    for seconds in args.lengths_s:
        windows = cut(speech, seconds, args.windows)
        calls.decode(windows[:1], padded=False)  # warm
        for batch in args.batches:
            rows.append(row(calls, windows, batch, args.repeats))
            show(rows[-1])
        for batch in args.padded_batches:
            rows.append(row(calls, windows, batch, 1, padded=True))
            show(rows[-1])
    if args.out:
        profile_used = {"silence_ms": profile.silence_ms, "tail_states": profile.tail_states}
        result = {"benchmark": "engine", **circumstances(), "model": found.name, "compute_type": model.compute_type}
        write_result(args.out, {**result, "profile": profile_used, "windows": args.windows, "rows": rows})
    return 0


def read_engine(path: Path | None) -> dict[str, Any] | None:
    """A result of this benchmark, or None if there is none."""
    if path is None or not path.is_file():
        return None
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def _parse() -> argparse.Namespace:
    parser = flags(__doc__, clips=20)
    parser.add_argument("--compute-type", default="int8", help="(default: %(default)s)")
    parser.add_argument("--language", default="en", help="of the clips (default: %(default)s)")
    parser.add_argument("--windows", type=int, default=16, help="of each length (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="of short windows (default: %(default)s)")
    parser.add_argument("--lengths-s", type=int, nargs="+", default=list(LENGTHS_S))
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument("--padded-batches", type=int, nargs="*", default=[1, 8])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
