"""The `cohear` command: finds the subcommand and turns every end into an exit code.

One module a subcommand, each with `add_parser(subparsers)` and `run(args) -> int`; they import what
they need when they run, so that `cohear --help` is quick and works without any extra.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from cohear_client.errors import CohearError

from .usage import COMMANDS, Help, missing_extra

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    arguments = [_dashed(argument) for argument in (sys.argv[1:] if argv is None else argv)]
    # before numpy is loaded: the spectrogram's small products cost seven times as much shared out between threads
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        args = _parser(arguments).parse_args(arguments)
        code: int = args.run(args)
    except (CohearError, ImportError, OSError, SystemExit, KeyboardInterrupt, BaseExceptionGroup) as end:
        ended = _exit_code(_cause(end))
        if ended is None:  # a mistake of ours: the traceback is what is wanted
            raise
        return ended
    return code


def _dashed(argument: str) -> str:
    """`--max_line_width=3`, as other tools spell it, is `--max-line-width=3`."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value


def _cause(end: BaseException) -> BaseException:
    """What a task group wrapped, where it is one thing."""
    while isinstance(end, BaseExceptionGroup) and len(end.exceptions) == 1:
        end = end.exceptions[0]
    return end


def _exit_code(end: BaseException) -> int | None:
    match end:
        case SystemExit():  # argparse: --help or a usage error, already printed
            return end.code if isinstance(end.code, int) else EXIT_USAGE
        case CohearError():
            return _complain(str(end))
        case ModuleNotFoundError() if command := missing_extra(end.name):
            return _complain(f"this needs the module {end.name}: {command}")
        case KeyboardInterrupt():
            return _complain("interrupted", EXIT_INTERRUPTED)
        case BrokenPipeError():
            # the reader of our output has gone; nothing may be written to it at exit either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_FAILED
    return None


def _complain(what: str, code: int = EXIT_FAILED) -> int:
    print(f"cohear: {what}", file=sys.stderr)
    return code


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cohear",
        formatter_class=Help,
        description="Streaming speech transcription: one service, many live streams. Start with `cohear serve`.",
        epilog="""examples:
  cohear serve                              serve the default model on 127.0.0.1:8765
  cohear stream talk.wav                    stream a file to it as if it were live
  cohear mic                                the same, from the microphone
  cohear transcribe *.mp3 --format srt      subtitles for files, with no server needed""",
    )
    parser.add_argument("--version", action="version", version=f"cohear {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    chosen = next((a for a in arguments if not a.startswith("-")), None)
    for name, summary in COMMANDS.items():
        if name == chosen:
            importlib.import_module(f".{name}", __name__).add_parser(commands)
        else:  # its flags are not wanted now
            commands.add_parser(name, help=summary, add_help=False)
    return parser


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("cohear")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "(not installed)"
