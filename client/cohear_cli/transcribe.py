"""`cohear transcribe`: files and folders to text and subtitles, in this process or by a server."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cohear_client.errors import ClientError
from cohear_client.fileevents import Event

from .inputs import Input, find_inputs, targets, watch
from .ledger import Ledger, OutputOptions, one_line
from .outputs import FORMATS, output_paths, remove_parts
from .progress import Style, open_progress
from .stdio import say
from .subtitles import LINE_CHARS, LINES, PAUSE_MS, SubtitleOptions
from .usage import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_WARNED,
    Help,
    Subparsers,
    add_choice_options,
    add_key_option,
    add_stream_options,
    choice,
    missing_extra,
    stream_options,
)

JOBS = 8
"""Files at a time on a server: enough to fill batches; most of the gain of batching is there by 8."""
FILE_ENDPOINT_MS = 1_000
"""Nobody waits for the segments of a file, and longer ones are heard better (LibriSpeech: 5.6 % against 5.9 %)."""
TIMED_FORMATS = frozenset({"srt", "vtt", "json"})
"""formats for which word times are measured, unless that is asked for or forbidden"""
_MODEL_SETTINGS = ("model", "model_dir", "offline", "device", "compute_type", "workers", "threads")


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "transcribe",
        help="transcribe files and folders, with or without a server",
        formatter_class=Help,
        description="""Transcribe audio and video files. Without --url the model runs in this process, and speech of all
files is decoded together; with it a server does the work. Without --format the text is printed.
A bad file costs one line on stderr and exit code 1, no more; one that is done but for what is damaged in
it, a line and exit code 3. A run that was interrupted or killed goes
on where it was when it is started again.""",
        epilog="""examples:
  cohear transcribe talk.mp3
  cohear transcribe recordings/ --format txt,srt --output-dir text
  cohear transcribe 'calls/**/*.wav' --model base --language de --format json --report run.json
  cohear transcribe inbox/ --watch --format txt --output-dir text
  cohear transcribe *.wav --url http://gpu-box:8765 --format vtt""",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files, folders, globs; - is standard input")
    _add_output_options(parser)
    _add_run_options(parser)
    add_choice_options(parser)
    add_stream_options(parser)
    _add_hearing_options(parser)
    _add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Transcribe all files; 1 when any failed, 3 when all are done and any was damaged inside."""
    inputs = find_inputs(args.paths)
    folder: Path = args.output_dir or Path()
    where = targets(inputs, folder)
    if args.format:
        _make_folder(folder)
        remove_parts(stem.parent for stem in where.values())
    paths = [one.path for one in inputs]
    style: Style = "lines" if args.json else "none" if args.quiet else "bars"
    with open_progress(style, len(paths)) as progress:
        options = OutputOptions(args.format, _subtitles(args), args.print_colors, args.quiet, args.json)
        ledger = Ledger(options, progress, paths)
        todo = []
        for one in inputs:
            if _skipped(one, where, args):
                ledger.skip(one.path)
            else:
                todo.append(one)
        interrupted = False
        try:
            for event in _events(todo, where, args, ledger):
                ledger.hear(event, where)
        except KeyboardInterrupt:
            interrupted = True
    ledger.show_summary(len(ledger.rows) if args.watch else len(paths))
    if args.report is not None:
        ledger.write_report(args.report)
    if interrupted and not args.watch:  # a watch has no other end
        say(_how_to_go_on(len(paths) - len(ledger.rows), args))
        return EXIT_INTERRUPTED
    return EXIT_FAILED if ledger.failed else EXIT_WARNED if ledger.warned else EXIT_DONE


def _how_to_go_on(left: int, args: argparse.Namespace) -> str:
    remembers = args.url is None and not args.no_cache
    flag = "" if remembers or not args.format else " with --skip-existing"
    return f"cohear: interrupted with {left} files left; the same command{flag} goes on from there"


def _events(
    inputs: Sequence[Input], where: dict[Path, Path], args: argparse.Namespace, ledger: Ledger
) -> Iterator[Event]:
    if args.url is not None:
        from .remote import RemoteOptions, transcribe_remotely

        options: dict[str, Any] = {"partials": False, **stream_options(args), "model": args.model}
        if options.get("endpoint_ms") is None:
            options["endpoint_ms"] = FILE_ENDPOINT_MS
        paths = [one.path for one in inputs]
        transcribe_remotely(
            paths, RemoteOptions(args.url, args.jobs, options, args.key, choice(args)), lambda e: ledger.hear(e, where)
        )
        return
    from .batch import open_run

    feed: Iterable[Input | None] = inputs
    if args.watch:
        feed = itertools.chain(inputs, watch(args.paths, inputs))
    with open_run(args) as pipeline:
        yield from pipeline.run(_paths(feed, where, args))


def _paths(feed: Iterable[Input | None], where: dict[Path, Path], args: argparse.Namespace) -> Iterator[Path | None]:
    """The paths; ones that came while the folder is watched get a place for their outputs."""
    for one in feed:
        if one is not None and one.path not in where:
            (stem,) = targets([one], args.output_dir or Path()).values()
            where[one.path] = stem if stem not in where.values() else stem.with_name(one.path.name)
        yield None if one is None else one.path


def _skipped(one: Input, where: dict[Path, Path], args: argparse.Namespace) -> bool:
    if not (args.skip_existing and args.format):
        return False
    try:
        changed = one.path.stat().st_mtime
        return all(path.stat().st_mtime >= changed for path in output_paths(where[one.path], args.format))
    except OSError:
        return False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        what = f"{one_line(folder)}: cannot be made ({fault.strerror})"
        raise ClientError("cannot_write", what, "choose another --output-dir") from fault


def _subtitles(args: argparse.Namespace) -> SubtitleOptions:
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
    group.add_argument("--quiet", action="store_true", help="no progress and no summary")
    group.add_argument("--json", action="store_true", help="print events as JSON, one a line, instead of text")
    _flag(group, "--print-colors", "printed words have the colour of their probability", default=False)
    whole = _whole_from(1)
    group.add_argument(
        "--max-line-width", type=_whole_from(8), default=LINE_CHARS, metavar="N", help="of subtitles (%(default)s)"
    )
    group.add_argument("--max-line-count", type=whole, default=LINES, metavar="N", help="of a subtitle (%(default)s)")
    group.add_argument("--max-words-per-line", type=whole, metavar="N", help="most words of a subtitle")
    group.add_argument(
        "--max-gap",
        type=_seconds,
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
        "--jobs", type=_jobs, default=JOBS, metavar="N", help="files at a time on a server (default: %(default)s)"
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
    group.add_argument("--hotwords", default="", metavar="TEXT", help="words to expect, before the prompt")
    _flag(group, "--word-timestamps", f"measure word times (default: for {', '.join(sorted(TIMED_FORMATS))})")
    _flag(group, "--vad-filter", "leave out what is no speech (default: True)", "--vad", default=True)
    group.add_argument("--beam-size", type=_whole_from(1), default=1, metavar="N", help="(default: %(default)s)")
    group.add_argument(
        "--temperature", type=_temperature, default=0.0, metavar="T", help="above 0, words are drawn (%(default)s)"
    )
    group.add_argument(
        "--temperature-increment-on-fallback",
        type=_increment,
        metavar="T",
        help="try again by steps of T, up to 1, where the text looks wrong (default: only the engine's own remedies)",
    )
    group.add_argument("--compression-ratio-threshold", type=float, default=2.4, metavar="X", help="looks wrong above")
    group.add_argument("--logprob-threshold", type=float, default=-1.0, metavar="X", help="looks wrong below")
    group.add_argument("--no-speech-threshold", type=float, default=0.6, metavar="X", help="but not above")
    group.add_argument(
        "--batch-size", type=_whole_from(0), default=0, metavar="N", help="windows decoded together (0: by the device)"
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


def _flag(group: Any, name: str, text: str, *others: str, default: bool | None = None) -> None:
    """`--name`, `--name True` and `--name False`, as other tools have it."""
    group.add_argument(name, *others, type=_truth, nargs="?", const=True, default=default, metavar="BOOL", help=text)


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise argparse.ArgumentTypeError(f"{text!r} is not True or False")
    return text.lower() in ("true", "1", "yes")


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if "all" in names:
        return FORMATS
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no format; use {', '.join(FORMATS)} or all")
    return names


def _jobs(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 256:
        raise argparse.ArgumentTypeError(f"{value} is not in 1 to 256")
    return value


def _whole_from(least: int) -> Any:
    def whole(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is below {least}")
        return value

    return whole


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 60:
        raise argparse.ArgumentTypeError(f"{text} is not in 0 to 60 seconds")
    return value


def _temperature(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not in 0 to 1")
    return value


def _increment(text: str) -> float | None:
    if text.lower() == "none":
        return None
    value = _temperature(text)
    if value < 0.05:
        raise argparse.ArgumentTypeError(f"{text} is below 0.05; use None for no second try")
    return value
