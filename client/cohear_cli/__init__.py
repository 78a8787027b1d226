"""The `cohear` command: finds the subcommand and turns every end into an exit code.

One module a subcommand, each with `add_parser(subparsers)` and `run(args) -> int`; they import what
they need when they run, so that `cohear --help` is quick and works without any extra.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from cohear_client.errors import CohearError

from . import stdio
from .usage import COMMANDS, EXIT_CODES, EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, Help, missing_extra


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code, see `EXIT_CODES`."""
    stdio.make_fit()
    # before numpy is loaded: the spectrogram's small products cost seven times as much shared out between threads
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    code = _ended(lambda: _command(sys.argv[1:] if argv is None else argv))
    return _ended(stdio.finish_output) or code


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """What the arguments say; `run` of it does the command. Raises SystemExit, as argparse does."""
    given = list(argv)
    flags = given.index("--") if "--" in given else len(given)
    arguments = [*map(_dashed, given[:flags]), *given[flags:]]
    return _parser(arguments).parse_args(arguments)


def _command(argv: Sequence[str]) -> int:
    args = parse(argv)
    code: int = args.run(args)
    return code


def _ended(work: Callable[[], int | None]) -> int:
    try:
        return work() or EXIT_DONE
    except (CohearError, ImportError, OSError, SystemExit, KeyboardInterrupt, BaseExceptionGroup) as end:
        ended = _exit_code(_cause(end))
        if ended is None:  # a mistake of ours: the traceback is what is wanted
            raise
        return ended


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
        case OSError():
            return _system_fault(end)
    return None


def _system_fault(fault: OSError) -> int:
    """Of the machine: a full disk, a broken output, too many open files."""
    try:
        stdio.finish_output()
    except BrokenPipeError:  # the reader of our output wants no more, as `head`
        return EXIT_FAILED
    except CohearError as unwritten:
        return _complain(str(unwritten))
    return _complain(f"{fault.filename}: {fault.strerror}" if fault.filename else str(fault))


def _complain(what: str, code: int = EXIT_FAILED) -> int:
    stdio.say(f"cohear: {what}")
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
  cohear transcribe *.mp3 --format srt      subtitles for files, with no server needed

exit codes:
"""
        + "\n".join(f"  {code:<5}{meaning}" for code, meaning in EXIT_CODES.items()),
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
