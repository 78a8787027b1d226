"""Many streams on simulated time: the real sessions and scheduler, and an engine that only takes as long as one would.

    python bench/simulate.py --speech DIR --streams 12 18 24 [--interval-ms 500] [--max-batch 8]

A run of 40 s takes seconds, is the same each time, and does not mind what else the machine does: made to compare
policies before they are measured with capacity.py. Speech and pauses are those of the load's speakers; words are made
up, a fifth of them wrong near the edge of a window. What a batch costs is the measured cost of its stages (engine.py:
encoder by the second, decoder steps by windows and filled states), times `CONTENTION` for what else a server does.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from cohear_client.protocol import Final, Partial
from cohear_server.core.audio import AudioFormat
from cohear_server.core.commands import Audio
from cohear_server.core.effects import Cancel, Effect, Emit, Submit
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, HypothesisWord, JobKind
from cohear_server.core.options import SessionOptions
from cohear_server.core.segment import PartialOptions
from cohear_server.core.segmenter import SegmenterOptions
from cohear_server.core.session import Session
from cohear_server.engine.profile import Profile, find_profile
from cohear_server.engine.tail import filled_length
from cohear_server.live.timing import Stages
from cohear_server.models.silero import load_silero
from cohear_server.scheduling.scheduler import Scheduler, SchedulerOptions
from cohear_server.wire.native import to_message
from measures import (
    Heard,
    Shown,
    cursor_lags_ms,
    final_waits,
    jitter_share,
    partial_ages_ms,
    partial_intervals_ms,
    percentile,
)
from voice import Spoken, Voice, read_spoken

SECONDS, SETTLE_S, FRAME_S = 40.0, 5.0, 0.02
ENDPOINT_MS = 500
WORDS_A_SECOND, TOKENS_A_WORD = 2.6, 1.3
ENCODE_S_A_SECOND, ENCODE_S = 0.0033, 0.001
STEP_S, STEP_S_A_WINDOW, STEP_S_A_STATE = 0.0026, 0.0001, 0.00000165
ALIGN_S_A_SECOND, ALIGN_S = 0.0017, 0.001
CONTENTION = 1.2
EDGE_S, DOUBTFUL_S = 0.2, 0.5


@dataclass(frozen=True, slots=True)
class Policy:
    partials: PartialOptions = field(default_factory=PartialOptions)
    scheduler: SchedulerOptions = field(default_factory=SchedulerOptions)
    slots: int = 2


class Engine:
    """What a batch costs, and words for its windows."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self._profile = profile
        self._chance = random.Random(seed)

    def seconds(self, batch: Sequence[DecodeJob]) -> float:
        encode_s, steps, states = 0.0, 0.0, 0
        for job in batch:
            window_s = len(job.pcm) / SAMPLE_RATE_HZ
            setting = self._profile.of(job.kind)
            heard_s = window_s + setting.silence_ms / 1000
            encode_s += ENCODE_S + ENCODE_S_A_SECOND * heard_s
            steps = max(steps, 2 + WORDS_A_SECOND * TOKENS_A_WORD * window_s)
            states = filled_length(round(50 * heard_s), setting.tail_states, setting.filled_states)
            if job.options.word_times:
                encode_s += ALIGN_S + ALIGN_S_A_SECOND * window_s
        step_s = STEP_S + len(batch) * (STEP_S_A_WINDOW + STEP_S_A_STATE * states)
        return CONTENTION * (encode_s + steps * step_s)

    def hear(self, job: DecodeJob, start: int) -> DecodeResult:
        """Words lie on a grid in the stream, so successive windows hear the same ones."""
        words: list[HypothesisWord] = []
        for number in itertools.count(-(-int(start * WORDS_A_SECOND) // SAMPLE_RATE_HZ)):
            begin = int(number / WORDS_A_SECOND * SAMPLE_RATE_HZ) - start
            end = begin + int(0.8 / WORDS_A_SECOND * SAMPLE_RATE_HZ)
            if end > len(job.pcm) + SAMPLE_RATE_HZ // 10:
                break
            left_s = (len(job.pcm) - end) / SAMPLE_RATE_HZ
            doubt = 0.35 if left_s < EDGE_S else 0.1 if left_s < DOUBTFUL_S else 0.02
            wrong = self._chance.random() < doubt
            text = f"w{number}{self._chance.choice('abcdefgh') if wrong else ''}"
            rating = 0.5 if wrong else 0.97 if self._chance.random() < 0.5 else 0.85
            words.append(HypothesisWord(text, max(0, begin), min(end, len(job.pcm)), rating))
        text = " ".join(word.text for word in words)
        return DecodeResult(job.id, text, tuple(words), job.options.word_times, "en")


class Run:
    """One simulation; `run` once, then ask for its `report`."""

    def __init__(self, clips: Sequence[Spoken], streams: int, policy: Policy, profile: Profile, seed: int = 0) -> None:
        self._policy = policy
        self._engine = Engine(profile, seed)
        self._scheduler = Scheduler(policy.scheduler)
        self._scheduler.window_steps_s = {profile.name: profile.window_steps_s}
        chance = random.Random(seed)
        self._voices = [Voice(clips, None, 1000 * seed + i) for i in range(streams)]
        self._begun_s = [chance.uniform(0, 2) for _ in range(streams)]
        options = SessionOptions(SegmenterOptions(endpoint_ms=ENDPOINT_MS), policy.partials)
        decode = DecodeOptions(profile.name, "en", word_times=True)
        self._sessions = [Session(str(i), AudioFormat(), decode, options, load_silero()) for i in range(streams)]
        self._shown: defaultdict[int, list[Shown]] = defaultdict(list)
        self._starts: dict[str, int] = {}
        self._events: list[tuple[float, int, Any]] = []
        self._order = itertools.count()
        self._busy = 0
        self._took_s: dict[str, float] = {}
        self.batches: list[int] = []

    def run(self) -> None:
        for i, begun_s in enumerate(self._begun_s):
            self._at(begun_s + FRAME_S, i)
        while self._events and self._events[0][0] < SECONDS:
            now_s, _, what = heapq.heappop(self._events)
            if isinstance(what, int):
                frame = self._voices[what].read(round(FRAME_S * SAMPLE_RATE_HZ))
                self._apply(what, self._sessions[what].handle(Audio(frame), now_s), now_s)
                self._at(now_s + FRAME_S, what)
            else:
                self._busy -= 1
                self._scheduler.finished(what, self._took_s.pop(what[0].id))
                for job in what:
                    i = int(job.session_id)
                    heard = self._engine.hear(job, self._starts.pop(job.id))
                    self._apply(i, self._sessions[i].resolve(heard, now_s), now_s)
            self._dispatch(now_s)

    def _at(self, at_s: float, what: int | list[DecodeJob]) -> None:
        heapq.heappush(self._events, (at_s, next(self._order), what))

    def _apply(self, i: int, effects: list[Effect], now_s: float) -> None:
        for effect in effects:
            match effect:
                case Submit(job):
                    # it ends where its stream is now, or for a final at most `post_roll` before: near enough for words
                    self._starts[job.id] = int((now_s - self._begun_s[i]) * SAMPLE_RATE_HZ) - len(job.pcm)
                    self._scheduler.submit(job, now_s)
                case Cancel(job_id):
                    self._scheduler.cancel(job_id, str(i))
                case Emit(event, _, origin_s):
                    message = to_message(event, Stages(decode_ms=1000 * (now_s - origin_s)))
                    if isinstance(message, Partial | Final):
                        self._shown[i].append((now_s - self._begun_s[i], message))

    def _dispatch(self, now_s: float) -> None:
        while self._busy < self._policy.slots and (batch := self._scheduler.next_batch(now_s, self._busy)):
            self._busy += 1
            for job in batch:
                self._sessions[int(job.session_id)].begun(job.id)
            if batch[0].kind is JobKind.PARTIAL:
                self.batches.append(len(batch))
            took_s = self._took_s[batch[0].id] = self._engine.seconds(batch)
            self._at(now_s + took_s, batch)

    def report(self) -> dict[str, float | None]:
        lags: list[float] = []
        finals: list[float] = []
        ages: list[float] = []
        intervals: list[float] = []
        for i, voice in enumerate(self._voices):
            spurts = [span for span in voice.spurts if span[1] < SECONDS]
            heard = Heard(self._shown[i], spurts, SETTLE_S, SECONDS - SETTLE_S)
            lags += cursor_lags_ms(heard)
            finals += [wait.over_ms for wait in final_waits(heard, ENDPOINT_MS) if wait.over_ms is not None]
            ages += partial_ages_ms(heard)
            intervals += partial_intervals_ms(heard)
        values = {"cursor_lag_p95": lags, "final_over_endpoint_p95": finals, "partial_age_p95": ages}
        values["partial_interval_p95"] = intervals
        found = {name: round(percentile(v, 0.95)) if v else None for name, v in values.items()}
        jitter = jitter_share(intervals)
        return found | {"jitter": jitter and round(jitter, 3), "batch": round(float(np.mean(self.batches or [0])), 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    usual = Policy()
    parser.add_argument("--speech", type=Path, required=True, metavar="DIR", help="folder with a manifest.jsonl")
    parser.add_argument(
        "--model", default="tiny.en", help="whose profile sets the filled lengths (default: %(default)s)"
    )
    parser.add_argument("--streams", type=int, nargs="+", default=[6, 12, 18, 24])
    parser.add_argument("--seeds", type=int, default=2, help="runs of each, averaged (default: %(default)s)")
    parser.add_argument("--interval-ms", type=int, default=usual.partials.interval_ms)
    parser.add_argument("--trim-after-s", type=float, default=usual.partials.trim_after_s)
    parser.add_argument("--max-batch", type=int, default=usual.scheduler.max_batch)
    parser.add_argument("--slots", type=int, default=usual.slots)
    args = parser.parse_args()
    profile = find_profile(args.model)
    if profile is None:
        raise SystemExit(f"{args.model} has no profile")
    clips = read_spoken(args.speech, 40, "en")
    partials = replace(usual.partials, interval_ms=args.interval_ms, trim_after_s=args.trim_after_s)
    policy = Policy(partials, replace(usual.scheduler, max_batch=args.max_batch), args.slots)
    for streams in args.streams:
        reports = []
        for seed in range(args.seeds):
            run = Run(clips, streams, policy, profile, seed)
            run.run()
            reports.append(run.report())
        means = {name: round(float(np.mean([r[name] or 0 for r in reports])), 3) for name in reports[0]}
        print(f"{streams} streams: " + "  ".join(f"{name} {value:g}" for name, value in means.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
