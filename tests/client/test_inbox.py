from __future__ import annotations

import pytest
from cohear_client.errors import ClientError, ServerError
from cohear_client.inbox import Inbox
from cohear_client.protocol import Partial, SpeechStarted, Timing


def partial(seq: int) -> Partial:
    return Partial(seq, 0, seq, "", "", 1.0, 0.0, Timing())


async def test_waiting_partials_are_coalesced_in_order_of_arrival() -> None:
    inbox = Inbox()
    for event in (partial(1), SpeechStarted(1.0), partial(2)):
        inbox.put(event)
    inbox.close()
    assert [await inbox.get() for _ in range(3)] == [SpeechStarted(1.0), partial(2), None]


async def test_what_waits_is_bounded_and_the_overflow_is_told() -> None:
    inbox = Inbox(limit=2)
    inbox.put(SpeechStarted(1.0))
    inbox.put(partial(1))
    inbox.put(partial(2))
    with pytest.raises(ClientError, match="2 events wait unread"):
        inbox.put(SpeechStarted(2.0))


async def test_the_fault_comes_after_the_events_and_stays() -> None:
    inbox = Inbox()
    inbox.put(SpeechStarted(1.0))
    inbox.close(ServerError("x", "broken"))
    assert await inbox.get() == SpeechStarted(1.0)
    for _ in range(2):
        with pytest.raises(ServerError, match="broken"):
            await inbox.get()
