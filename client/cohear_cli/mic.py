"""`cohear mic`: the microphone, streamed to a server."""

from __future__ import annotations

import argparse
import asyncio

from .stdio import say
from .usage import Help, Subparsers, add_live_options, stream_options


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "mic",
        help="stream the microphone to a server",
        formatter_class=Help,
        description="""Stream the microphone to a server and watch the text come. Ctrl-C ends the recording; what was
said is still transcribed. Needs `pip install 'cohear[mic]'`.""",
        epilog="""examples:
  cohear mic
  cohear mic --list-devices
  cohear mic --device 3 --language en
  cohear mic --json > talk.jsonl""",
    )
    parser.add_argument("--device", metavar="NAME", help="number, or part of the name (default: the system's)")
    parser.add_argument("--list-devices", action="store_true", help="print the microphones and exit")
    add_live_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Record until Ctrl-C."""
    if args.list_devices:
        from cohear_client.mic import input_devices

        print("\n".join(input_devices()) or "no microphone found")
        return 0
    asyncio.run(_record(args))
    return 0


async def _record(args: argparse.Namespace) -> None:
    from cohear_client.errors import ServerError
    from cohear_client.mic import Microphone

    from .live import Audio, show

    device = int(args.device) if args.device and args.device.isdigit() else args.device
    async with Microphone(device) as microphone:
        say("listening; Ctrl-C ends")
        start = microphone.start(**stream_options(args))
        await show(args, Audio(start, microphone.blocks(), 1.0, microphone.close))
    if microphone.dropped:
        places = ", ".join(f"{start_s:.1f} s to {end_s:.1f} s" for start_s, end_s in microphone.dropped)
        raise ServerError(
            "audio_lost", f"sound was dropped because the server was too slow or away: {places}", "say it again"
        )
