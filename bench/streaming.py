"""What a stream shows and when: partials and finals of paced audio under different policies, side by side.

    python bench/streaming.py --speech DIR [--clips 40] [--model tiny.en] [--out bench/results/streaming.json]

Time is simulated: frames of 20 ms arrive exactly on time, every window is decoded as soon as it is cut, and its result
comes back after the time that the decode took on one core. So figures are those of an idle server, whatever else this
machine does. Policies that cut the same windows share their decodes. Definitions:

    word error      finals against the reference, Whisper's normaliser
    unstable words  words shown in a partial and changed or dropped by the next event of the segment, over words in
                    finals (Shangguan et al., arXiv 2006.01416)
    shown after     a final's word, from its end (by alignment) until the first event that shows it in place; median
    stable after    the same, until it is part of `stable` or of the final
    cost            seconds of CPU per second of audio, partials and finals
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `cohear` does; idle threads of numpy would count as cost

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from cohear_client.protocol import Final, Partial
from cohear_server.core.audio import AudioFormat
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeOptions, JobKind
from cohear_server.core.options import SessionOptions
from cohear_server.core.segment import PartialOptions
from cohear_server.core.session import Session
from cohear_server.core.stabilizer import StabilizerOptions
from cohear_server.core.words import normalised
from cohear_server.models.silero import load_silero
from marks import fill_in, measured_on, table
from measures import Received, matched, unstable_words, word_delays_s, words_of
from playback import Decoder, Event, Playback
from speech import Clip, Errors, choose, circumstances, error_rate, flags, read_clips, word_errors, write_result


@dataclass(frozen=True, slots=True)
class Policy:
    """A name for the plot, and what it sets."""

    name: str
    partials: PartialOptions


def _policies() -> list[Policy]:
    """Except for the first ones, each differs from the default in one setting."""
    best = PartialOptions()
    plain = StabilizerOptions(hold_back_ms=0, sure_probability=2.0, show_back_ms=0, show_probability=0.0)
    rule = best.stabilizer
    return [
        Policy("default", best),
        Policy("plain local agreement", replace(best, stabilizer=plain)),
        Policy("show everything", replace(best, stabilizer=replace(rule, show_back_ms=0, show_probability=0.0))),
        Policy("show above 0.8 only", replace(best, stabilizer=replace(rule, show_probability=0.8))),
        Policy("hide improbable ones anywhere", replace(best, stabilizer=replace(rule, show_anyway_ms=99_000))),
        Policy("hide the edge only", replace(best, stabilizer=replace(rule, show_probability=0.0))),
        Policy("hide the improbable only", replace(best, stabilizer=replace(rule, show_back_ms=0))),
        Policy("hide new words", replace(best, stabilizer=replace(rule, show_probability=2.0, show_anyway_ms=99_000))),
        Policy("no hold-back", replace(best, stabilizer=replace(rule, hold_back_ms=0))),
        Policy("hold back 300 ms", replace(best, stabilizer=replace(rule, hold_back_ms=300))),
        Policy("hold back 500 ms", replace(best, stabilizer=replace(rule, hold_back_ms=500))),
        Policy("hold back 800 ms", replace(best, stabilizer=replace(rule, hold_back_ms=800))),
        Policy("no early commit", replace(best, stabilizer=replace(rule, sure_probability=2.0))),
        Policy("early commit at 0.9", replace(best, stabilizer=replace(rule, sure_probability=0.9))),
        Policy("partials with context", replace(best, with_context=not best.with_context)),
        Policy("first partial at 80 ms", replace(best, first_ms=80)),
        Policy("first partial at 200 ms", replace(best, first_ms=200)),
        Policy("first partial at 300 ms", replace(best, first_ms=300)),
        Policy("never cut the window", replace(best, trim_after_s=99.0)),
        Policy("cut beyond 4 s", replace(best, trim_after_s=4.0)),
        Policy("cut beyond 3 s", replace(best, trim_after_s=3.0)),
        Policy("every 0.5 s", replace(best, interval_ms=500)),
        Policy("every 0.7 s", replace(best, interval_ms=700)),
        Policy("every 1 s", replace(best, interval_ms=1_000)),
    ]


@dataclass(slots=True)
class Score:
    """Sums over clips."""

    errors: list[Errors] = field(default_factory=list)
    final_words: int = 0
    stable_words: int = 0
    corrected_words: int = 0
    unstable: int = 0
    shown_after_s: list[float] = field(default_factory=list)
    stable_after_s: list[float] = field(default_factory=list)
    first_partial_s: list[float] = field(default_factory=list)
    cost_s: Counter[JobKind] = field(default_factory=Counter)
    partials: int = 0


def judge(events: Sequence[Event], score: Score) -> None:
    """Add one clip's events to the score, segment by segment."""
    segments = Received(events, ()).segments()
    for shown, follower in zip(segments, [*segments[1:], []], strict=True):
        final = next((event for _, event in shown if isinstance(event, Final)), None)
        if final is None:
            continue
        words = [normalised(word.text) for word in final.words]
        score.final_words += len(words)
        score.unstable += unstable_words(shown, follower)
        stable = [event for _, event in shown if isinstance(event, Partial)]
        if stable:
            said = words_of(stable[-1], stable=True)
            score.stable_words += len(said)
            score.corrected_words += len(said) - len(matched(said, words))
            score.first_partial_s.append(shown[0][0] - final.words[0].start_s if final.words else 0.0)
        score.shown_after_s += word_delays_s(shown)
        score.stable_after_s += word_delays_s(shown, stable=True)


def run(policy: Policy, clips: Sequence[Clip], decoder: Decoder) -> dict[str, Any]:
    score = Score()
    for clip in clips:
        options = SessionOptions(partials=policy.partials)
        decode = DecodeOptions(decoder.name, clip.lang, word_times=True)
        session = Session("s", AudioFormat(), decode, options, load_silero())
        pcm = np.concatenate([clip.pcm(), np.zeros(SAMPLE_RATE_HZ, np.int16)])
        playback = Playback(session, decoder)
        events = playback.play(pcm)
        judge(events, score)
        score.cost_s.update(playback.cost_s)
        score.partials += playback.windows[JobKind.PARTIAL]
        text = " ".join(event.text for _, event in events if isinstance(event, Final))
        score.errors.append(word_errors(clip.reference, text, clip.lang))
    return _summary(policy.name, score, sum(clip.seconds for clip in clips))


def _summary(name: str, score: Score, audio_s: float) -> dict[str, Any]:
    shown = sorted(score.shown_after_s)
    return {
        "policy": name,
        "word_error_percent": error_rate(score.errors)["wer_percent"],
        "unstable_words_percent": round(100 * score.unstable / score.final_words, 1),
        "stable_corrected_percent": round(100 * score.corrected_words / max(1, score.stable_words), 1),
        "shown_after_s": round(statistics.median(shown), 2),
        "shown_after_p95_s": round(shown[int(0.95 * len(shown))], 2),
        "stable_after_s": round(statistics.median(score.stable_after_s), 2),
        "first_partial_s": round(statistics.median(score.first_partial_s or [0.0]), 2),
        "partials_a_second": round(score.partials / audio_s, 2),
        "cost_partials": round(score.cost_s[JobKind.PARTIAL] / audio_s, 4),
        "cost_finals": round(score.cost_s[JobKind.FINAL] / audio_s, 4),
    }


def main() -> int:
    args = _parse()
    clips = [c for c in read_clips(args.speech) if c.reference and c.lang == "en" and c.seconds >= 4]
    clips = choose(clips, args.clips)
    decoder = Decoder(args.model, args.profiles)
    rows = []
    for policy in _policies():
        if not args.only or policy.name in args.only:
            rows.append(run(policy, clips, decoder))
            print("  ".join(f"{value:>24}" if key == "policy" else f"{key} {value}" for key, value in rows[-1].items()))
    result = {"benchmark": "streaming", **circumstances(), "model": args.model, "clips": len(clips)}
    result |= {"seconds": round(sum(c.seconds for c in clips)), "policies": rows}
    if args.out:
        write_result(args.out, result)
    if args.page:
        fill_in(args.page, "bench/streaming.py", section(result))
    if args.plot:
        plot(rows, args.plot)
    return 0


def section(result: dict[str, Any]) -> str:
    """The table of docs/streaming.md."""
    head = ("policy", "unstable words", "shown after", "stable after", "stable words that the final corrects", "cost")
    rows = [
        (
            row["policy"],
            f"{row['unstable_words_percent']} %",
            f"{row['shown_after_s']} s",
            f"{row['stable_after_s']} s",
            f"{row['stable_corrected_percent']} %",
            row["cost_partials"],
        )
        for row in result["policies"]
    ]
    return f"{measured_on(result)}; {result['model']}, {result['clips']} clips.\n\n{table([head, *rows])}"


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """How early words come against how steady they are; the area of a dot is the cost of the partials."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    for number, row in enumerate(rows):
        default = row["policy"] == "default"
        colour, layer = ("tab:red", 3) if default else ("tab:blue", 2)
        x, y = row["shown_after_s"], row["unstable_words_percent"]
        axes.scatter(x, y, s=1_500 * row["cost_partials"], color=colour, alpha=0.5, zorder=layer)
        axes.annotate(f"{number}", (x, y), ha="center", va="center", fontsize=8, zorder=layer)
    axes.set(xlabel="a word is shown, s after it was spoken (median)", ylabel="unstable words, %", ylim=(0, None))
    axes.axhline(10, color="grey", linewidth=0.8, linestyle="--")
    axes.axvline(1.0, color="grey", linewidth=0.8, linestyle="--")
    axes.set_title("Partials: how early, how steady (dot area: cost)")
    legend = "\n".join(f"{number}  {row['policy']}" for number, row in enumerate(rows))
    axes.text(0.62, 0.97, legend, transform=axes.transAxes, fontsize=8, va="top", family="monospace")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _parse() -> argparse.Namespace:
    parser = flags(__doc__, clips=40)
    parser.add_argument("--profiles", type=Path, help="folder of profiles (default: the committed ones)")
    parser.add_argument("--only", action="append", help="run this policy only; may be repeated")
    parser.add_argument("--page", type=Path, help="also put the table between its marks, as in docs/streaming.md")
    parser.add_argument("--plot", type=Path, help="picture of it, such as docs/images/streaming.png")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
