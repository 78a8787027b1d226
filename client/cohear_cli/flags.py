"""The flags of `cohear transcribe`, and the options that they make."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cohear_client.subtitles import LINE_CHARS, LINES, PAUSE_MS, SubtitleOptions

from .foreign import add_foreign_flags
from .outputs import FORMATS
from .usage import add_choice_options, add_key_option, add_stream_options, missing_extra, number, truth

JOBS = 8
"""Files at a time on a server: enough to fill batches; most of the gain of batching is there by 8."""
TIMED_FORMATS = frozenset({"srt", "vtt", "json"})
"""formats for which word times are measured, unless that is asked for or forbidden"""
_MODEL_SETTINGS = ("model", "model_dir", "offline", "device", "compute_type", "workers", "threads")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add all of them, and the files."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files, folders, globs; - is standard input")
    _add_output_options(parser)
    _add_subtitle_options(parser)
    _add_run_options(parser)
    add_choice_options(parser)
    add_stream_options(parser)
    _add_hearing_options(parser)
    _add_model_options(parser)
    add_foreign_flags(parser)


def subtitle_options(args: argparse.Namespace) -> SubtitleOptions:
    """How srt and vtt are laid out."""
    return SubtitleOptions(
        line_chars=args.max_line_width,
        lines=args.max_line_count,
        words=args.max_words_per_line,
        pause_ms=round(args.max_gap * 1000),
        highlight=args.highlight_words,
    )


def wants_word_times(args: argparse.Namespace) -> bool:
    """Whether word times are to be measured."""
    if args.word_timestamps is not None:
        return bool(args.word_timestamps)
    return args.print_colors or not TIMED_FORMATS.isdisjoint(args.format)


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--format",
        "--output-format",
        "-f",
        type=_formats,
        default=(),
        metavar="LIST",
        help=f"write files: {','.join(FORMATS)} or all (comma list)",
    )
    group.add_argument("--output-dir", "-o", type=Path, metavar="DIR", help="where to write (default: this folder)")
    group.add_argument("--report", type=Path, metavar="FILE", help="write what became of each file, as JSON")
    group.add_argument("--quiet", action="store_true", help="no progress and no summary (also: --verbose False)")
    group.add_argument(
        "--verbose", dest="quiet", type=lambda text: not truth(text), nargs="?", const=False, help=argparse.SUPPRESS
    )
    group.add_argument("--json", action="store_true", help="print events as JSON, one a line, instead of text")
    _flag(group, "--print-colors", "printed words have the colour of their probability", default=False)


def _add_subtitle_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("subtitles")
    group.add_argument(
        "--max-line-width",
        type=_or(LINE_CHARS, number(int, 8)),
        default=LINE_CHARS,
        metavar="N",
        help="characters of a line (%(default)s)",
    )
    group.add_argument(
        "--max-line-count",
        type=_or(LINES, number(int, 1)),
        default=LINES,
        metavar="N",
        help="lines (%(default)s)",
    )
    group.add_argument("--max-words-per-line", type=_or(None, number(int, 1)), metavar="N", help="most words")
    group.add_argument(
        "--max-gap",
        type=number(float, 0.001, 60),
        default=PAUSE_MS / 1000,
        metavar="S",
        help="silence that ends a subtitle (%(default)s)",
    )
    _flag(group, "--highlight-words", "underline each word of srt and vtt while it is spoken", default=False)


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    group.add_argument("--url", help="a server to use instead of a model in this process")
    add_key_option(group)
    group.add_argument(
        "--jobs",
        type=number(int, 1, 256),
        default=JOBS,
        metavar="N",
        help="files at a time on a server (default: %(default)s)",
    )
    group.add_argument("--watch", action="store_true", help="go on with files that come into the folders, until Ctrl-C")
    group.add_argument(
        "--skip-existing", action="store_true", help="leave files alone whose outputs are there and newer"
    )
    group.add_argument("--no-cache", action="store_true", help="remember nothing, and do all anew")
    group.add_argument("--cache-dir", metavar="DIR", help="where results are remembered")
    group.add_argument("--cache-limit-mb", type=int, metavar="MB", help="size of what is remembered (default: 1024)")


def _add_hearing_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("hearing (without --url)")
    group.add_argument("--initial-prompt", dest="prompt", metavar="TEXT", help="the same as --prompt")
    _flag(group, "--word-timestamps", f"measure word times (default: for {', '.join(sorted(TIMED_FORMATS))})")
    _flag(group, "--vad-filter", "leave out what is no speech (default: True)", "--vad", default=True)
    group.add_argument(
        "--beam-size", type=_or(1, number(int, 1)), default=1, metavar="N", help="(default: %(default)s)"
    )
    group.add_argument(
        "--batch-size",
        type=_or(0, number(int, 0)),
        default=0,
        metavar="N",
        help="windows decoded together (0: by the device)",
    )
    _add_temperature_options(group)


def _add_temperature_options(group: argparse._ActionsContainer) -> None:
    """When a text is decoded again, as Whisper does it."""
    group.add_argument(
        "--temperature",
        type=number(float, 0, 1),
        default=0.0,
        metavar="T",
        help="above 0, words are drawn (%(default)s)",
    )
    group.add_argument(
        "--temperature-increment-on-fallback",
        type=_or(None, number(float, 0.05, 1)),
        metavar="T",
        help="try again by steps of T, up to 1, where the text looks wrong (default: only the engine's own remedies)",
    )
    group.add_argument(
        "--compression-ratio-threshold",
        type=_or(math.inf, float),
        default=2.4,
        metavar="X",
        help="a text that compresses better than this looks wrong",
    )
    group.add_argument(
        "--logprob-threshold",
        type=_or(-math.inf, float),
        default=-1.0,
        metavar="X",
        help="a text with a lower mean log probability looks wrong",
    )
    group.add_argument(
        "--no-speech-threshold",
        type=_or(math.inf, float),
        default=0.6,
        metavar="X",
        help="but not where silence is more probable than this",
    )


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    try:
        from cohear_server.config import add_arguments
    except ModuleNotFoundError as fault:
        if missing_extra(fault.name) is None:
            raise
        parser.add_argument("--model", help="model of the server at --url")
        return
    add_arguments(parser, only=_MODEL_SETTINGS)
    parser.add_argument("--model-directory", dest="model", help=argparse.SUPPRESS)
    parser.add_argument("--local-files-only", dest="offline", type=truth, nargs="?", const=True, help=argparse.SUPPRESS)


def _flag(group: Any, name: str, text: str, *others: str, default: bool | None = None) -> None:
    """`--name`, `--name True` and `--name False`, as other tools have it."""
    group.add_argument(name, *others, type=truth, nargs="?", const=True, default=default, metavar="BOOL", help=text)


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if "all" in names:
        return FORMATS
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no format; use {', '.join(FORMATS)} or all")
    return names


def _or(default: Any, read: Callable[[str], Any]) -> Callable[[str], Any]:
    """`None`, as other tools have it, is the default."""
    return lambda text: default if text.lower() == "none" else read(text)
