"""Word error of streaming finals against whole-file faster-whisper, on the same clips and weights.

    python bench/wer.py --speech DIR [--clips 60] [--model tiny.en] [--long] [--out bench/results/wer.json]

Streaming goes through the service in this process, in frames as clients send them, as fast as it takes them, several
streams at once: once as on an idle server, once as on a busy one that trades accuracy for speed. The baseline pads to
30 s, with beam 1 and no speech detection. It does not measure latency.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from cohear_client.protocol import Done, Final, SampleCount, Start
from cohear_server.config import ServerConfig
from cohear_server.live.service import Service
from cohear_server.models.catalog import find_model
from cohear_server.models.sources import SourceOptions
from cohear_server.wire.local import open_stream
from faster_whisper import WhisperModel
from speech import (
    Clip,
    choose,
    circumstances,
    error_rate,
    flags,
    rate_difference,
    read_clips,
    word_errors,
    write_result,
)

FRAMES_MS = (20, 40, 60, 100)
STREAMED = {"streaming": (1e6, 2e6), "in_haste": (-2.0, -1.0)}
"""Where economy begins and where it is full, as shares of the engine: never, and always."""
WAYS = (*STREAMED, "whole_file")
SILENCE_S = 0.3
"""silence sent after each clip: some clips end right after the last word, where a live stream would go on"""


@dataclass(frozen=True, slots=True)
class ClipTexts:
    """One clip and its texts."""

    clip: Clip
    texts: dict[str, str]
    """by way of decoding, see `WAYS`"""


def main() -> int:
    args = _parse()
    clips = choose(_usable(read_clips(args.speech, long=args.long), args.model), args.clips)
    config = ServerConfig(
        model=args.model,
        compute_type=args.compute_type,
        workers=args.workers,
        max_streams=args.streams,
        admission=False,
    )
    texts, elapsed_s = {}, {}
    for way in WAYS:
        begun_s = time.perf_counter()
        if way in STREAMED:
            texts[way] = asyncio.run(stream_all(clips, config, args.streams, STREAMED[way]))
        else:
            texts[way] = transcribe_all(clips, args)
        elapsed_s[way] = round(time.perf_counter() - begun_s, 1)
    heard = [ClipTexts(clip, {way: texts[way][i] for way in WAYS}) for i, clip in enumerate(clips)]
    result = {
        "benchmark": "wer",
        **circumstances(),
        "model": args.model,
        "settings": {"streams": args.streams, "frames_ms": FRAMES_MS, "workers": args.workers, "silence_s": SILENCE_S}
        | {"compute_type": args.compute_type, "endpoint_ms": config.endpoint_ms, "vad": config.vad},
        "audio_s": round(sum(clip.seconds for clip in clips), 1),
        "elapsed_s": elapsed_s,
        **summary(heard),
        "clips": [{"file": str(h.clip.path.relative_to(args.speech)), **h.texts} for h in heard],
    }
    if args.out:
        write_result(args.out, result)
    show(result)
    return 0


def _parse() -> argparse.Namespace:
    parser = flags(__doc__, clips=60)
    parser.add_argument("--long", action="store_true", help="recordings of minutes too")
    parser.add_argument("--compute-type", default="int8", help="of both sides (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="batches at the same time (default: %(default)s)")
    parser.add_argument("--streams", type=int, default=8, help="streams at once (default: %(default)s)")
    return parser.parse_args()


def _usable(clips: Sequence[Clip], model: str) -> list[Clip]:
    """Clips that the model can hear: an English model gets English ones, and those without speech."""
    return [clip for clip in clips if clip.lang in ("", "en") or not model.endswith(".en")]


async def stream_all(
    clips: Sequence[Clip], config: ServerConfig, streams: int, haste: tuple[float, float]
) -> list[str]:
    """The text of each clip's finals."""
    places = asyncio.Semaphore(streams)
    async with Service.open(config) as service, asyncio.TaskGroup() as group:
        capacity = service.engine.capacity
        capacity.options = replace(capacity.options, economy_from=haste[0], economy_full=haste[1])
        tasks = [group.create_task(stream_one(clip, service, places)) for clip in clips]
    return [task.result() for task in tasks]


async def stream_one(clip: Clip, service: Service, places: asyncio.Semaphore) -> str:
    async with places, open_stream(service, Start(language=clip.lang or "en", words=False, partials=True)) as stream:
        sending = asyncio.create_task(send(clip, stream))
        texts = []
        async for event in stream:
            if isinstance(event, Final):
                texts.append(event.text)
            elif isinstance(event, Done):
                check(clip, event.samples)
        await sending
    return " ".join(texts)


async def send(clip: Clip, stream: Any) -> None:
    pcm = np.concatenate([clip.pcm(), np.zeros(int(16_000 * SILENCE_S), np.int16)])
    position = 0
    for frame_ms in itertools.cycle(FRAMES_MS):
        if position >= len(pcm):
            break
        await stream.send(pcm[position : position + 16 * frame_ms].tobytes())
        await asyncio.sleep(0)  # the other streams' turn
        position += 16 * frame_ms
    await stream.stop()


def check(clip: Clip, samples: SampleCount) -> None:
    if samples.shed or samples.received != samples.transcribed + samples.silent:
        raise SystemExit(f"{clip.path}: samples do not add up, or were shed: {samples}")


def transcribe_all(clips: Sequence[Clip], args: argparse.Namespace) -> list[str]:
    folder = find_model(args.model, options=SourceOptions()).directory
    model = WhisperModel(str(folder), device="cpu", compute_type=args.compute_type, cpu_threads=args.workers)
    texts = []
    for clip in clips:
        segments, _ = model.transcribe(
            clip.pcm().astype(np.float32) / 32768,
            language=clip.lang or "en",
            beam_size=1,
            temperature=0,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        texts.append(" ".join(segment.text.strip() for segment in segments))
    return texts


def summary(heard: Sequence[ClipTexts]) -> dict[str, Any]:
    spoken, unspoken = [h for h in heard if h.clip.reference], [h for h in heard if not h.clip.reference]
    corpora: defaultdict[str, list[ClipTexts]] = defaultdict(list)
    for h in spoken:
        corpora[h.clip.corpus].append(h)
    groups = {"all": spoken, **dict(sorted(corpora.items()))}
    return {
        "word_error": {name: compare(members) for name, members in groups.items() if members},
        "words_on_non_speech": {
            "clips": len(unspoken),
            **{way: sum(word_errors("", h.texts[way], "en").errors for h in unspoken) for way in WAYS},
        },
    }


def compare(heard: Sequence[ClipTexts]) -> dict[str, Any]:
    counts = {way: [word_errors(h.clip.reference, h.texts[way], h.clip.lang) for h in heard] for way in WAYS}
    return {
        **{way: error_rate(counts[way]) for way in WAYS},
        "difference": {way: rate_difference(counts[way], counts["whole_file"]) for way in STREAMED},
    }


def show(result: dict[str, Any]) -> None:
    titles = [f"{way.replace('_', ' '):>12}" for way in WAYS]
    print(f"{'word error, %':<18}{'clips':>6}{'words':>7}{''.join(titles)}   differences")
    for name, row in result["word_error"].items():
        rates = [f"{row[way]['wer_percent']:>12.2f}" for way in WAYS]
        differences = [f"{row['difference'][way]['points']:+.2f}" for way in STREAMED]
        size = row["whole_file"]
        print(f"{name:<18}{size['clips']:>6}{size['words']:>7}{''.join(rates)}   {', '.join(differences)}")
    words = result["words_on_non_speech"]
    counts = ", ".join(f"{way.replace('_', ' ')} {words[way]}" for way in WAYS)
    print(f"words on {words['clips']} clips without speech: {counts}")


if __name__ == "__main__":
    sys.exit(main())
