"""`cohear transcribe`: files and folders to text and subtitles, in this process or by a server."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cohear_client.errors import ClientError
from cohear_client.fileevents import Event, Finished

from .flags import add_flags, subtitle_options
from .foreign import remarks
from .inputs import Input, find_inputs, targets
from .ledger import Ledger, OutputOptions, one_line
from .outputs import check_name, output_paths, remove_parts
from .progress import Style, open_progress
from .scope import misplaced
from .stdio import say
from .usage import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_WARNED,
    Help,
    Subparsers,
    choice,
    stream_options,
)
from .watching import Watch

FILE_ENDPOINT_MS = 1_000
"""Nobody waits for the segments of a file, and longer ones are heard better (LibriSpeech: 5.6 % against 5.9 %)."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "transcribe",
        help="transcribe files and folders, with or without a server",
        formatter_class=Help,
        usage="cohear transcribe PATH... [flags]",
        description="""Transcribe audio and video files. Without --url the model runs in this process, and speech of
all files is decoded together; with it a server does the work. Without --format the text is printed.
A bad file costs one line on standard error and exit code 1; the other files go on. A file with damaged
parts gives a line and exit code 3. A run that was interrupted or killed goes on where it stopped when it
is started again.""",
        epilog="""examples:
  cohear transcribe talk.mp3
  cohear transcribe recordings/ --format txt,srt --output-dir text
  cohear transcribe 'calls/**/*.wav' --model base --language de --format json --report run.json
  cohear transcribe inbox/ --watch --format txt --output-dir text
  cohear transcribe *.wav --url http://gpu-box:8765 --format vtt""",
    )
    add_flags(parser)

    def checked(args: argparse.Namespace) -> int:
        if (wrong := misplaced(args, parser.get_default)) is not None:
            parser.error(wrong)
        return run(args)

    parser.set_defaults(run=checked)


def run(args: argparse.Namespace) -> int:
    """Transcribe all files; 1 when any failed, 3 when all are done and any was damaged inside."""
    for remark in remarks(args):
        say(f"cohear: {remark}")
    inputs = find_inputs(args.paths, may_be_empty=args.watch)
    where = targets(inputs, args.output_dir or Path())
    _prepare(args, where)
    paths = [one.path for one in inputs]
    style: Style = "lines" if args.json else "none" if args.quiet else "bars"
    with open_progress(style, len(paths)) as progress:
        options = OutputOptions(args.format, subtitle_options(args), args.print_colors, args.quiet, args.json)
        ledger = Ledger(options, progress, () if args.watch else paths)
        skipped = [one for one in inputs if _skipped(one, where, args)]
        for one in skipped:
            ledger.skip(one.path)
        watch = Watch(args.paths, skipped) if args.watch else None
        todo = watch.inputs() if watch is not None else [one for one in inputs if one not in skipped]

        def hear(event: Event) -> None:
            ledger.hear(event, where)
            if watch is not None and isinstance(event, Finished):
                watch.finished(event.path)

        interrupted = False
        try:
            _run(_paths(todo, where, args), args, hear)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            if args.report is not None:
                ledger.write_report(args.report)
    ledger.show_summary(len(ledger.rows) if args.watch else len(paths))
    if interrupted and not args.watch:  # a watch has no other end
        say(_how_to_go_on(len(paths) - len(ledger.rows), args))
        return EXIT_INTERRUPTED
    return EXIT_FAILED if ledger.failed else EXIT_WARNED if ledger.warned else EXIT_DONE


def _prepare(args: argparse.Namespace, where: Mapping[Path, Path]) -> None:
    """Before the work rather than after it: raises ClientError(`cannot_write`) where outputs cannot be."""
    if args.report is not None:
        check_name(args.report)
    if args.format:
        _make_folder(args.output_dir or Path())
        remove_parts(stem.parent for stem in where.values())


def _how_to_go_on(left: int, args: argparse.Namespace) -> str:
    left_over = f"cohear: interrupted with {left} files left"
    if args.url is None and not args.no_cache:
        return f"{left_over}; the same command goes on from there"
    if args.format:
        return f"{left_over}; the same command with --skip-existing does those"
    return f"{left_over}; nothing was remembered, the same command begins anew"


def _run(paths: Iterable[Path | None], args: argparse.Namespace, hear: Callable[[Event], None]) -> None:
    if args.url is not None:
        from .remote import RemoteOptions, transcribe_remotely

        options: dict[str, Any] = {"partials": False, **stream_options(args), "model": args.model}
        if options.get("endpoint_ms") is None:
            options["endpoint_ms"] = FILE_ENDPOINT_MS
        transcribe_remotely(paths, RemoteOptions(args.url, args.jobs, options, args.key, choice(args)), hear)
        return
    from .batch import open_run

    with open_run(args) as pipeline:
        for event in pipeline.run(paths):
            hear(event)


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
