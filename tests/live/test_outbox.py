"""A slow reader gets fewer partials and all finals."""

from __future__ import annotations

import asyncio

from cohear_server.core.events import Event, Final, Partial, SpeechEnded, Stats
from cohear_server.core.ledger import SampleCount
from cohear_server.live.log import Emitted
from cohear_server.live.outbox import LIMIT, Outbox


def partial(seq: int, segment: int = 0) -> Partial:
    return Partial(seq, segment, seq, "", "", 0.0, 0)


def final(seq: int) -> Final:
    return Final(seq, 0, "x", 1.0, "en", 0, 16_000, "endpoint", "m")


def drained(outbox: Outbox) -> list[Event]:
    out: list[Event] = []
    while not outbox.empty:
        out.append(outbox.take(0.0).event)
    return out


def test_only_the_newest_partial_waits_and_order_is_kept() -> None:
    outbox = Outbox()
    for event in (SpeechEnded(0), partial(1), SpeechEnded(16_000), partial(2)):
        outbox.put(Emitted(event, 0.0))
    assert drained(outbox) == [SpeechEnded(0), SpeechEnded(16_000), partial(2)]
    assert outbox.coalesced == 1


def test_a_final_makes_the_waiting_partial_needless() -> None:
    outbox = Outbox()
    for event in (partial(1), final(2), final(3)):
        outbox.put(Emitted(event, 0.0))
    assert drained(outbox) == [final(2), final(3)]


def test_but_not_the_one_of_the_segment_after_it() -> None:
    outbox = Outbox()
    for event in (partial(1, segment=1), final(2)):
        outbox.put(Emitted(event, 0.0))
    assert drained(outbox) == [partial(1, segment=1), final(2)]


def test_only_the_newest_statistics_wait() -> None:
    outbox = Outbox()
    stats = [Stats(0.0, float(i), 0.0, 0, SampleCount()) for i in range(3)]
    for event in stats:
        outbox.put(Emitted(event, 0.0))
    assert drained(outbox) == stats[-1:]


async def test_a_reader_who_takes_no_finals_is_gone() -> None:
    outbox = Outbox()
    for seq in range(LIMIT):
        outbox.put(Emitted(final(seq), 0.0))
    assert not outbox.overflowed
    outbox.put(Emitted(final(LIMIT), 0.0))
    assert outbox.overflowed
    assert not await outbox.wait()


async def test_wait_ends_with_a_message_or_the_close() -> None:
    outbox = Outbox()
    waiting = asyncio.create_task(outbox.wait())
    await asyncio.sleep(0)
    outbox.put(Emitted(final(1), 0.0))
    assert await waiting
    drained(outbox)
    waiting = asyncio.create_task(outbox.wait())
    await asyncio.sleep(0)
    outbox.close()
    assert not await waiting
