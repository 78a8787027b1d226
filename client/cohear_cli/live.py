"""Running one live stream from the command line, from any source of audio, into a view."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass

from cohear_client.connection import connect
from cohear_client.conversation import converse
from cohear_client.pcm import Pcm
from cohear_client.protocol import Done, Final, ServerMessage, Start

from .interrupt import first_interrupt
from .report import LatencyReport
from .stdio import say
from .view import JsonView, PlainView, View


@dataclass(frozen=True, slots=True)
class Audio:
    """What is streamed."""

    start: Start
    blocks: AsyncIterable[Pcm | bytes]
    speed: float
    """how many times faster than real time it comes; 0 when unknown"""
    end: Callable[[], None]
    """makes `blocks` end: for Ctrl-C"""


async def show(args: argparse.Namespace, audio: Audio) -> None:
    """Stream `audio` to `args.url`, show its events, and the latency table at the end."""
    report = LatencyReport(audio.speed)
    async with connect(args.url, audio.start, api_key=args.key) as stream:
        with open_view(as_json=args.json) as view, first_interrupt(audio.end):
            words = False

            def hear(event: ServerMessage) -> None:
                nonlocal words
                received_s = view.show(event)
                report.add(event, received_s)
                words = words or (isinstance(event, Final) and bool(event.text.strip()))
                if isinstance(event, Done) and not words and not args.json:
                    heard_s = event.samples.received / audio.start.sample_rate
                    say(f"cohear: no words were heard in {heard_s:.1f} s of audio")

            hear(stream.ready)
            try:
                await converse(stream, audio.blocks, hear)
            finally:
                view.end(report)


def open_view(*, as_json: bool) -> View:
    """The view that fits stdout."""
    if as_json:
        return JsonView()
    if sys.stdout.isatty():
        try:
            from .terminal import TerminalView
        except ModuleNotFoundError:  # rich is an extra; plain lines do as well
            return PlainView()
        return TerminalView()
    return PlainView()
