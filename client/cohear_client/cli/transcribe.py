"""`cohear transcribe`: audio files to text and subtitles, in this process or by a server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ClientError, CohearError, OverloadError
from ..protocol import ServerMessage
from ..transcript import Transcript, TranscriptBuilder
from .outputs import FORMATS, stems, write_all
from .progress import Bars, open_bars, settled_s
from .usage import Help, Subparsers, add_key_option, add_stream_options, missing_extra, stream_options

if TYPE_CHECKING:
    from ..conversation import Connect

JOBS = 8
"""Files at a time: enough to fill batches; most of the gain of batching is there by 8."""
FILE_ENDPOINT_MS = 1_000
"""Nobody waits for the segments of a file, and longer ones are heard better (LibriSpeech: 5.6 % against 5.9 %)."""
RETRIES = 10
"""How often a file waits for a service that has no room, each time as long as that asks."""
_MODEL_SETTINGS = ("model", "model_dir", "offline", "device", "compute_type", "workers", "threads", "max_batch")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file; both a transcript and a fault where the file is damaged inside."""

    file: Path
    transcript: Transcript | None = None
    fault: CohearError | None = None
    audio_s: float = 0.0


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "transcribe",
        help="transcribe audio files, with or without a server",
        formatter_class=Help,
        description="""Transcribe audio files. Without --url the model runs in this process; with it a server does
the work. Files go side by side, so that many short ones are as quick as one long one. Without
--format the text is printed. A bad file costs one line on stderr and exit code 1, no more.""",
        epilog="""examples:
  cohear transcribe talk.mp3
  cohear transcribe *.flac --format txt,srt --output-dir text
  cohear transcribe interview.wav --model base --language de --format json
  cohear transcribe *.wav --url http://gpu-box:8765 --format vtt""",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="audio files")
    parser.add_argument(
        "--format", type=_formats, default=(), metavar="LIST", help=f"write files: {','.join(FORMATS)} (comma list)"
    )
    parser.add_argument("--output-dir", type=Path, metavar="DIR", help="where to write them (default: this folder)")
    parser.add_argument("--url", help="a server to use instead of a model in this process")
    add_key_option(parser)
    parser.add_argument("--jobs", type=_jobs, default=JOBS, metavar="N", help="files at a time (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress and no summary")
    add_stream_options(parser)
    _add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Transcribe all files; 1 when any failed."""
    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    files = [Path(name) for name in args.files]
    folder: Path = args.output_dir or Path()
    targets = stems(files, folder) if args.format else {}
    if args.format:
        _make_folder(folder)
    started_s = time.monotonic()
    outcomes: list[Outcome] = []
    async with _service(args) as connect:
        with open_bars(quiet=args.quiet, total_s=_total_s(files)) as bars:
            work = _Work(args, connect, bars, targets)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work.one(file)) for file in files]
                for task in tasks:  # in the order given, whatever ends first
                    outcome = await task
                    outcomes.append(outcome)
                    _tell(outcome, args)
    if not args.quiet:
        _summarise(outcomes, time.monotonic() - started_s)
    return 1 if any(outcome.fault for outcome in outcomes) else 0


class _Work:
    """Files to transcripts, `--jobs` at a time."""

    def __init__(self, args: argparse.Namespace, connect: Connect, bars: Bars, targets: dict[Path, Path]) -> None:
        self._args = args
        self._connect = connect
        self._bars = bars
        self._targets = targets
        self._free = asyncio.Semaphore(args.jobs)

    async def one(self, file: Path) -> Outcome:
        """Transcribe a file and write its outputs. Faults of the family become part of the outcome."""
        async with self._free:
            heard = TranscriptBuilder()
            fault: CohearError | None = None
            audio_s = 0.0
            try:
                audio_s = await self._hear_patiently(file, heard)
            except CohearError as damage:
                fault = damage
            whole = heard.transcript()
            if fault is not None and not (fault.code == "truncated" and whole.samples is not None):
                return Outcome(file, fault=fault)
            try:
                if self._targets:
                    write_all(whole, self._args.format, self._targets[file])
            except ClientError as unwritten:
                return Outcome(file, fault=unwritten)
            return Outcome(file, whole, fault, audio_s)

    async def _hear_patiently(self, file: Path, heard: TranscriptBuilder) -> float:
        for _ in range(RETRIES):
            try:
                return await self._hear(file, heard)
            except OverloadError as full:
                if heard.transcript().segments:
                    raise
                await asyncio.sleep(full.retry_after_s)
        return await self._hear(file, heard)

    async def _hear(self, file: Path, heard: TranscriptBuilder) -> float:
        from ..conversation import transcribe
        from ..files import AudioFile

        options: dict[str, Any] = {"partials": False, **stream_options(self._args)}
        if options.get("endpoint_ms") is None:
            options["endpoint_ms"] = FILE_ENDPOINT_MS
        if self._args.url is not None:
            options["model"] = self._args.model
        with AudioFile(file) as audio, self._bars.file(file.name, audio.duration_s) as advance:

            def hear(event: ServerMessage) -> None:
                heard.add(event)
                settled = settled_s(event, audio.rate_hz)
                if settled is not None:
                    advance(settled)

            await transcribe(audio, self._connect, audio.start(**options), hear)
            return audio.duration_s or 0.0


@contextlib.asynccontextmanager
async def _service(args: argparse.Namespace) -> AsyncIterator[Connect]:
    """Where streams come from: the server at --url, or a service in this process."""
    if args.url is not None:
        from ..connection import connect

        yield partial(connect, args.url, api_key=args.key)
        return
    from cohear_server.config import load
    from cohear_server.service import Service

    async with Service.open(load(args)) as service:
        yield service.connect


def _tell(outcome: Outcome, args: argparse.Namespace) -> None:
    if outcome.transcript is not None and not args.format:
        if len(args.files) > 1:
            print(f"== {outcome.file}")
        print(FORMATS["txt"](outcome.transcript), end="", flush=True)
    if outcome.fault is not None:
        text, name = str(outcome.fault), str(outcome.file)
        # faults of files name the file themselves
        print(text if text.startswith(name) else f"{name}: {text}", file=sys.stderr)


def _summarise(outcomes: list[Outcome], took_s: float) -> None:
    done = [outcome for outcome in outcomes if outcome.transcript is not None]
    audio_s = sum(outcome.audio_s for outcome in done)
    failed = sum(outcome.fault is not None for outcome in outcomes)
    line = f"{len(done)} of {len(outcomes)} files, {audio_s:.1f} s of audio in {took_s:.1f} s"
    if took_s > 0:
        line += f" ({audio_s / took_s:.1f}x real time)"
    print(line + (f", {failed} failed" if failed else ""), file=sys.stderr)


def _total_s(files: list[Path]) -> float:
    """Length of all files that can be opened; those that cannot are told of when their turn comes."""
    from ..files import AudioFile

    total_s = 0.0
    for file in files:
        with contextlib.suppress(ClientError), AudioFile(file) as audio:
            total_s += audio.duration_s or 0.0
    return total_s


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise ClientError(
            "cannot_write", f"{folder}: cannot be made ({fault.strerror})", "choose another --output-dir"
        ) from fault


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    try:
        from cohear_server.config import add_arguments
    except ModuleNotFoundError as fault:
        if missing_extra(fault.name) is None:
            raise
        parser.add_argument("--model", help="model of the server at --url")
        return
    add_arguments(parser, only=_MODEL_SETTINGS)


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no format; use {', '.join(FORMATS)}")
    return names


def _jobs(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 256:
        raise argparse.ArgumentTypeError(f"{value} is not in 1 to 256")
    return value
