"""What commands share: their names, help layout, stream options, and how to install what is missing."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from cohear_client.errors import ClientError
from cohear_client.languages import language_code
from cohear_client.protocol import MAX_ENDPOINT_MS, MIN_ENDPOINT_MS

if TYPE_CHECKING:
    from cohear_client.files import Choice

DEFAULT_URL = "ws://127.0.0.1:8765"

COMMANDS = {
    "serve": "run the transcription server",
    "stream": "stream a file or a pipe to a server as live audio",
    "mic": "stream the microphone to a server",
    "transcribe": "transcribe files and folders, with or without a server",
    "cache": "what `transcribe` remembers: how much, how often used; check or drop it",
    "models": "list, fetch, check and measure models",
    "bench": "measure: live load, capacity, word error",
    "keys": "make, list and revoke API keys of a server",
}

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_WARNED, EXIT_INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = {
    EXIT_DONE: "done",
    EXIT_FAILED: "failed, or a file of several failed; or the reader of the output has gone",
    EXIT_USAGE: "wrong usage: nothing was done",
    EXIT_WARNED: "done, but for what is damaged in a file",
    EXIT_INTERRUPTED: "interrupted by Ctrl-C",
}

_EXTRAS = {
    "server": {
        "cohear_server",
        "huggingface_hub",
        "tokenizers",
        "starlette",
        "uvicorn",
        "faster_whisper",
        "ctranslate2",
        "webrtcvad",
        "onnxruntime",
        "soxr",
        "prometheus_client",
    },
    "files": {"av"},
    "cli": {"rich"},
    "mic": {"sounddevice"},
    "eval": {"jiwer", "whisper_normalizer"},
    "bench": {"matplotlib"},
}

Number = TypeVar("Number", int, float)
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Help = argparse.RawDescriptionHelpFormatter


def missing_extra(module: str | None) -> str | None:
    """The command that installs the extra with `module`; None when no extra has it."""
    top = (module or "").split(".")[0]
    return next((f"pip install 'cohear[{extra}]'" for extra, names in _EXTRAS.items() if top in names), None)


def add_stream_options(parser: argparse.ArgumentParser) -> None:
    """What is wanted of the transcription: fields of `start`."""
    group = parser.add_argument_group("transcription")
    group.add_argument(
        "--language",
        type=language,
        metavar="LANG",
        help="language spoken, such as en, German or de-AT (default: the model finds out)",
    )
    group.add_argument(
        "--task", choices=("transcribe", "translate"), default="transcribe", help="translate gives English"
    )
    group.add_argument(
        "--languages", type=_languages, default=(), metavar="LIST", help="find the language among these (comma list)"
    )
    group.add_argument("--prompt", metavar="TEXT", help="text that the speech goes on from, with its names and terms")
    group.add_argument(
        "--hotwords", type=_listed, default=(), metavar="LIST", help="names and terms to expect (comma list)"
    )
    group.add_argument(
        "--endpoint-ms",
        type=number(int, MIN_ENDPOINT_MS, MAX_ENDPOINT_MS),
        metavar="MS",
        help=f"silence that ends a segment, {MIN_ENDPOINT_MS} to {MAX_ENDPOINT_MS} (default: the server's)",
    )


def language(text: str) -> str:
    """A flag's value as the code that models know."""
    try:
        return language_code(text)
    except ClientError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from fault


def _languages(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(language(name) for name in text.split(",")))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """What `stream` and `mic` share: server, output, events."""
    parser.add_argument("--url", default=DEFAULT_URL, help="server (default: %(default)s)")
    add_key_option(parser)
    parser.add_argument("--json", action="store_true", help="print each event as one line of JSON")
    parser.add_argument("--no-partials", action="store_true", help="only finished segments")
    parser.add_argument("--no-words", action="store_true", help="no times and confidence of single words")
    add_stream_options(parser)


def add_key_option(parser: argparse._ActionsContainer) -> None:
    """`--key`, for servers that ask for one."""
    parser.add_argument(
        "--key", metavar="KEY", help="API key of the server (better: COHEAR_API_KEY; other users see flags)"
    )


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """What of a file is heard."""
    group = parser.add_argument_group("what of a file is heard")
    group.add_argument("--track", default="", metavar="N|LANG", help="audio track, by number from 1 or by language")
    group.add_argument(
        "--channel",
        type=number(int, 1, 64),
        default=0,
        metavar="N",
        help="one channel, from 1 (default: a mix of all)",
    )


def choice(args: argparse.Namespace) -> Choice:
    """What `add_choice_options` asked for."""
    from cohear_client.files import Choice

    return Choice(args.track, args.channel)


def stream_options(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of `start` that `add_stream_options` (and `add_live_options`) asked for."""
    names = ("language", "task", "prompt", "endpoint_ms")
    options = {name: getattr(args, name) for name in names}
    options |= {"hotwords": args.hotwords or None, "languages": args.languages or None}
    if "no_partials" in args:
        options |= {"partials": not args.no_partials, "words": not args.no_words}
    return options


def number(kind: Callable[[str], Number], low: float, high: float = math.inf) -> Callable[[str], Number]:
    """What reads a flag's number, and says what is wrong with it."""

    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
        if not low <= value <= high:
            wrong = f"below {low}" if high == math.inf else f"not in {low} to {high}"
            raise argparse.ArgumentTypeError(f"{text} is {wrong}")
        return value

    return read


def truth(text: str) -> bool:
    """True or False, as other tools have it."""
    if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise argparse.ArgumentTypeError(f"{text!r} is not True or False")
    return text.lower() in ("true", "1", "yes")
