"""Word error and cost of a model on some speech: in short windows, as the server decodes, and padded to 30 s.

It makes the table of `cohear models eval` and models/README.md. Clips are decoded by `WhisperEngine.decode` as finals,
in batches of 8, with one thread, sorted by length; recordings over 30 s are cut as a live stream is. It needs the
extra `eval`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, DecodeResult, JobKind, Pcm
from ..engine.calibration import calibration_error
from ..engine.engine import WhisperEngine
from ..engine.options import EngineOptions
from ..engine.profile import Profile
from ..engine.second_try import settled
from ..models.weights import ModelFiles
from .clips import Clip, choose, grouped, windows_of
from .scoring import ErrorRate, WordErrors, error_rate, word_errors, words_right
from .trials import ends_in_loop

BATCH = 8
LONG_CLIPS = 2
"""how many recordings of minutes are taken"""
MIN_RATED_WORDS = 150
"""fewer words say nothing about calibration: there must be ten for each bin"""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class ClipReading:
    """Results of clips at one setting; a clip that was cut has several results."""

    clips: Sequence[Clip]
    results: Sequence[Sequence[DecodeResult]]
    cpu_ms_per_s: float
    """CPU time of the process for each second of decoded audio, from samples to words"""

    def texts(self) -> list[str]:
        return [" ".join(result.text for result in results if result.text) for results in self.results]

    @property
    def loops(self) -> int:
        """Windows whose text ends in a loop."""
        return sum(ends_in_loop(result.text) for results in self.results for result in results)

    def errors(self) -> list[WordErrors]:
        """Word errors of the clips that have a reference with words."""
        pairs = zip(self.clips, self.texts(), strict=True)
        return [word_errors(clip.reference, text, clip.lang or "en") for clip, text in pairs if clip.reference]

    def words_on_silence(self) -> int | None:
        """Words heard in clips without speech; None without such clips."""
        pairs = zip(self.clips, self.texts(), strict=True)
        counts = [word_errors("", text, "en").errors for clip, text in pairs if clip.reference == ""]
        return sum(counts) if counts else None

    def rated(self) -> tuple[list[float], list[bool]]:
        """Probability of each word, and whether it is right."""
        rated: list[tuple[float, bool]] = []
        for clip, results in zip(self.clips, self.results, strict=True):
            words = [word for result in results for word in result.words]
            if clip.reference:
                right = words_right(clip.reference, [word.text for word in words], clip.lang or "en")
                pairs = zip(words, right, strict=True)
                rated += [(word.probability, known) for word, known in pairs if known is not None]
        return [probability for probability, _ in rated], [right for _, right in rated]


@dataclass(frozen=True, slots=True)
class SetResult:
    """One row of the table; `short` is None where the model has no profile for short windows."""

    name: str
    clips: int
    seconds: float
    words: int
    wer_short: ErrorRate | None
    wer_padded: ErrorRate | None
    cpu_ms_per_s_short: float | None
    cpu_ms_per_s_padded: float
    loops_short: int | None
    loops_padded: int
    silence_words_short: int | None
    silence_words_padded: int | None
    ece: float | None
    """expected calibration error of word confidence as the service gives it; None for too few words"""


@dataclass(frozen=True, slots=True)
class Evaluation:
    model: str
    short_windows: bool
    sets: tuple[SetResult, ...]
    ece: float | None
    """over the words of all sets; 15 bins of equal mass"""


def evaluate(files: ModelFiles, clips: Sequence[Clip], count: int, progress: Progress) -> Evaluation:
    """Up to `count` clips of each group. Clips in languages that the model does not know are left out.

    Raises ClientError(`bad_model`, `bad_profile`)."""
    engine = load(files)
    profile = engine.profile
    sets: list[SetResult] = []
    rated: tuple[list[float], list[bool]] = ([], [])
    for name, members in grouped(known(clips, engine)).items():
        chosen = choose(members, min(count, LONG_CLIPS) if name == "long" else count)
        padded = hear(engine, None, chosen)
        short = hear(engine, profile, chosen) if profile and profile.short_windows else None
        own = (short or padded).rated()
        sets.append(_row(name, short, padded, own))
        progress(_line(sets[-1]))
        rated[0].extend(own[0])
        rated[1].extend(own[1])
    return Evaluation(files.name, engine.info.short_windows, tuple(sets), _ece(*rated))


def load(files: ModelFiles) -> WhisperEngine:
    """The engine on a CPU with one thread, so that costs can be compared."""
    options = EngineOptions.of(files, "cpu", "int8", workers=1, threads=1)
    return WhisperEngine(options)


def known(clips: Sequence[Clip], engine: WhisperEngine) -> list[Clip]:
    return [clip for clip in clips if clip.lang in ("", *engine.info.languages)]


def hear(engine: WhisperEngine, profile: Profile | None, clips: Sequence[Clip]) -> ClipReading:
    """Decode all clips at the setting of `profile`; None pads to 30 s."""
    engine.profile = profile
    windows = [(i, window) for i, clip in enumerate(clips) for window in windows_of(clip.pcm())]
    order = sorted(range(len(windows)), key=lambda place: len(windows[place][1]))
    done: dict[int, DecodeResult] = {}
    before_s = time.process_time()
    for first in range(0, len(order), BATCH):
        places = order[first : first + BATCH]
        jobs = [_job(windows[place][1], clips[windows[place][0]], engine.info.name) for place in places]
        done.update(zip(places, settled(engine.decode, jobs), strict=True))
    spent_ms = 1000 * (time.process_time() - before_s)
    results: list[list[DecodeResult]] = [[] for _ in clips]
    for place, (i, _) in enumerate(windows):
        results[i].append(done[place])
    seconds = sum(len(window) for _, window in windows) / SAMPLE_RATE_HZ
    return ClipReading(clips, results, round(spent_ms / max(seconds, 0.1), 1))


def _job(pcm: Pcm, clip: Clip, model: str) -> DecodeJob:
    return DecodeJob("", "", "", 0, pcm, JobKind.FINAL, 1.0, DecodeOptions(model, clip.lang or None))


def _row(name: str, short: ClipReading | None, padded: ClipReading, rated: tuple[list[float], list[bool]]) -> SetResult:
    errors = padded.errors()
    return SetResult(
        name=name,
        clips=len(padded.clips),
        seconds=round(sum(clip.seconds for clip in padded.clips), 1),
        words=sum(clip.words for clip in errors),
        wer_short=error_rate(short.errors()) if short and errors else None,
        wer_padded=error_rate(errors) if errors else None,
        cpu_ms_per_s_short=short.cpu_ms_per_s if short else None,
        cpu_ms_per_s_padded=padded.cpu_ms_per_s,
        loops_short=short.loops if short else None,
        loops_padded=padded.loops,
        silence_words_short=short.words_on_silence() if short else None,
        silence_words_padded=padded.words_on_silence(),
        ece=_ece(*rated),
    )


def _ece(probabilities: Sequence[float], right: Sequence[bool]) -> float | None:
    return round(calibration_error(probabilities, right), 3) if len(right) >= MIN_RATED_WORDS else None


HEADINGS = (
    "set",
    "clips",
    "words",
    "short, % wrong",
    "padded, % wrong",
    "CPU ms/s short",
    "CPU ms/s padded",
    "loops",
    "ECE",
)


def table(result: Evaluation) -> list[tuple[str, ...]]:
    """Rows under HEADINGS; a set without speech shows invented words in place of errors."""
    return [_cells(row) for row in result.sets]


def _cells(row: SetResult) -> tuple[str, ...]:
    return (
        row.name,
        str(row.clips),
        str(row.words),
        _wrong(row.wer_short, row.silence_words_short),
        _wrong(row.wer_padded, row.silence_words_padded),
        _or_dash(row.cpu_ms_per_s_short),
        f"{row.cpu_ms_per_s_padded:g}",
        f"{_or_dash(row.loops_short)}/{row.loops_padded}",
        _or_dash(row.ece),
    )


def _wrong(rate: ErrorRate | None, silence_words: int | None) -> str:
    if rate is not None:
        return f"{rate.percent:.1f} ({rate.low:.1f}-{rate.high:.1f})"
    return f"{silence_words} words" if silence_words is not None else "-"


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _line(row: SetResult) -> str:
    _, clips, _, short, padded, *_ = _cells(row)
    return f"{row.name}: {clips} clips, {short} % wrong, padded {padded}" if row.words else f"{row.name}: {clips} clips"
