"""What hotwords do to rare words in live streams: how many are heard with and without, and how many are made up.

    python bench/hotwords.py --speech DIR [--clips 60] [--model tiny.en] [--listed 20] [--out FILE]

A word is rare if the model's vocabulary spells it in two pieces or more, and few clips have it: names, mostly. Each
clip is streamed twice. The second time it has a list of hotwords: its own rare words, filled up with those of other
clips. One of these in its text is made up.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Sequence

from cohear_client.protocol import Final, Start
from cohear_server.config import ServerConfig
from cohear_server.live.service import Service
from cohear_server.models.catalog import find_model
from cohear_server.models.sources import SourceOptions
from cohear_server.wire.local import open_stream
from speech import Clip, choose, circumstances, error_rate, flags, read_clips, word_errors, write_result
from tokenizers import Tokenizer
from wer import send

PIECES, LETTERS, CLIPS = 2, 5, 3
"""a rare word has so many pieces and letters, and is in no more than so many clips"""


def main() -> int:
    args = _parse()
    clips = choose([clip for clip in read_clips(args.speech) if clip.lang == "en" and clip.reference], args.clips)
    config = ServerConfig(model=args.model, max_streams=args.streams, admission=False)
    asyncio.run(measure(clips, config, args))
    return 0


def _parse() -> argparse.Namespace:
    parser = flags(__doc__, clips=60)
    parser.add_argument("--listed", type=int, default=20, help="hotwords of each clip (default: %(default)s)")
    parser.add_argument("--streams", type=int, default=4, help="streams at once (default: %(default)s)")
    return parser.parse_args()


async def measure(clips: Sequence[Clip], config: ServerConfig, args: argparse.Namespace) -> None:
    folder = find_model(args.model, options=SourceOptions()).directory
    rare = rare_words(clips, Tokenizer.from_file(str(folder / "tokenizer.json")))
    lists = [listed(number, rare, args.listed) for number in range(len(clips))]
    async with Service.open(config) as service:
        places = asyncio.Semaphore(args.streams)
        texts = {
            "without": await _heard(clips, [()] * len(clips), service, places),
            "with": await _heard(clips, lists, service, places),
        }
    result = {"benchmark": "hotwords", **circumstances(), "model": args.model, "listed": args.listed}
    result |= {"clips": len(clips), "rare_words": sum(map(len, rare))}
    result |= {way: tally(clips, rare, lists, heard) for way, heard in texts.items()}
    for way in texts:
        print(f"{way:8} {result[way]}")
    if args.out:
        write_result(args.out, result)


async def _heard(
    clips: Sequence[Clip], lists: Sequence[tuple[str, ...]], service: Service, places: asyncio.Semaphore
) -> list[str]:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_stream(clip, words, service, places)) for clip, words in zip(clips, lists, strict=True)
        ]
    return [task.result() for task in tasks]


async def _stream(clip: Clip, hotwords: tuple[str, ...], service: Service, places: asyncio.Semaphore) -> str:
    start = Start(language="en", words=False, partials=False, hotwords=hotwords)
    async with places, open_stream(service, start) as stream:
        sending = asyncio.create_task(send(clip, stream))
        texts = [event.text async for event in stream if isinstance(event, Final)]
        await sending
    return " ".join(texts)


def rare_words(clips: Sequence[Clip], tokenizer: Tokenizer) -> list[tuple[str, ...]]:
    """Of each clip, as they are written in a sentence: names begin with a capital."""
    own = [set(clip.reference.lower().split()) for clip in clips]
    spread = Counter(word for words in own for word in words)

    def rare(word: str) -> bool:
        pieces = len(tokenizer.encode(" " + word.title(), add_special_tokens=False).ids)
        return word.isalpha() and len(word) >= LETTERS and spread[word] <= CLIPS and pieces >= PIECES

    return [tuple(word.title() for word in sorted(words) if rare(word)) for words in own]


def listed(number: int, rare: Sequence[tuple[str, ...]], count: int) -> tuple[str, ...]:
    """The hotwords of a clip, in the order of the alphabet, so that its own have no place of their own."""
    others = [word for words in (*rare[number + 1 :], *rare[:number]) for word in words if word not in rare[number]]
    return tuple(sorted([*rare[number], *dict.fromkeys(others)][:count]))


def tally(
    clips: Sequence[Clip], rare: Sequence[tuple[str, ...]], lists: Sequence[tuple[str, ...]], heard: Sequence[str]
) -> dict[str, object]:
    """Rare words heard, hotwords made up, and word error in percent."""
    found = made_up = wanted = 0
    for clip, own, hotwords, text in zip(clips, rare, lists, heard, strict=True):
        words = set("".join(letter if letter.isalpha() else " " for letter in text.lower()).split())
        said = set(clip.reference.lower().split())
        found += sum(word.lower() in words for word in own)
        wanted += len(own)
        made_up += sum(word.lower() in words - said for word in hotwords)
    errors = [word_errors(clip.reference, text, clip.lang) for clip, text in zip(clips, heard, strict=True)]
    return {
        "recall": round(found / max(1, wanted), 3),
        "made_up": made_up,
        "word_error": float(error_rate(errors)["wer_percent"]),
    }


if __name__ == "__main__":
    sys.exit(main())
