"""`cohear stream`: a file or a pipe, streamed to a server as if it were live."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from cohear_client.errors import ClientError
from cohear_client.protocol import ENCODINGS, MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ

from .usage import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    Help,
    Subparsers,
    add_choice_options,
    add_live_options,
    choice,
    number,
    stream_options,
)

if TYPE_CHECKING:
    from cohear_client.pcm import Pcm
    from cohear_client.protocol import Start

BLOCK_S = 0.02


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "stream",
        help="stream a file or a pipe to a server as live audio",
        formatter_class=Help,
        description="""Stream a file to a server at the pace of speech and watch the text come: stable text plain,
text that may still change dimmed, uncertain words coloured, and at the end where the latency
went. A pipe (`-`) is sent as it comes: a WAV by its header, other files decoded, else raw
16-bit samples at 16 kHz.""",
        epilog="""examples:
  cohear stream talk.flac
  cohear stream talk.flac --json | jq -r 'select(.type == "final").text'
  cohear stream talk.flac --url http://gpu-box:8765 --speed 4
  arecord -q -f S16_LE -r 16000 -t raw | cohear stream -
  ffmpeg -v 0 -i rtsp://camera/1 -f s16le -ac 1 -ar 8000 - | cohear stream - --rate 8000""",
    )
    parser.add_argument("file", metavar="FILE", help="audio file, or - for standard input")
    parser.add_argument(
        "--speed",
        type=number(float, 0, 1000),
        metavar="X",
        help="times real time; 0 is as fast as the server takes it (default: 1 for a file, 0 for a pipe)",
    )
    add_choice_options(parser)
    add_live_options(parser)
    raw = parser.add_argument_group("raw audio from a pipe")
    raw.add_argument(
        "--rate",
        type=number(int, MIN_RATE_HZ, MAX_RATE_HZ),
        default=16_000,
        metavar="HZ",
        help="samples a second (default: %(default)s)",
    )
    raw.add_argument("--encoding", choices=ENCODINGS, default="pcm_s16le", help="(default: %(default)s)")
    raw.add_argument(
        "--channels", type=number(int, 1, MAX_CHANNELS), default=1, metavar="N", help="(default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Stream the file or pipe to its end, or to Ctrl-C: which a pipe has for its end, as a microphone has."""
    over = asyncio.Event()
    if args.file == "-":
        asyncio.run(_stream_pipe(args, over))
        return EXIT_DONE
    asyncio.run(_stream_file(args, over))
    return EXIT_INTERRUPTED if over.is_set() else EXIT_DONE


async def _stream_file(args: argparse.Namespace, over: asyncio.Event) -> None:
    from cohear_client.files import AudioFile
    from cohear_client.pacing import paced

    speed = 1.0 if args.speed is None else args.speed
    with AudioFile(args.file, choice=choice(args)) as file:
        start = file.start(**stream_options(args))
        await _send(args, start, paced(file.blocks(BLOCK_S), start, speed), speed, over)


async def _stream_pipe(args: argparse.Namespace, over: asyncio.Event) -> None:
    from cohear_client.pacing import paced
    from cohear_client.pipe import PipeAudio, stdin_bytes
    from cohear_client.protocol import Start

    if sys.stdin.isatty():
        raise ClientError("no_audio", "-: standard input is the terminal", "send audio through a pipe, or name a file")
    raw = Start(args.rate, args.encoding, args.channels, **stream_options(args))
    async with stdin_bytes() as source:
        pipe = await PipeAudio.open(source, raw)
        speed = args.speed or 0.0
        await _send(args, pipe.start, paced(pipe.blocks(BLOCK_S), pipe.start, speed), speed, over)


async def _send(
    args: argparse.Namespace, start: Start, audio: AsyncIterator[Pcm | bytes], speed: float, over: asyncio.Event
) -> None:
    from .interrupt import until
    from .live import Audio, show

    await show(args, Audio(start, until(over, audio), speed, over.set))
