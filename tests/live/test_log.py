"""What a client that comes back is sent again: all that it missed, once, in order."""

from __future__ import annotations

import pytest
from cohear_server.core.commands import Claim
from cohear_server.core.events import Final, Finalized, SpeechStarted
from cohear_server.errors import ClientError
from cohear_server.live.log import LIMIT, Emitted, EventLog


def final(seq: int) -> Final:
    return Final(seq, seq, "x", 1.0, "en", 0, 16_000, "endpoint", "m")


def logged(count: int) -> EventLog:
    """Finals and marks in turn, and events of the moment between them."""
    log = EventLog()
    for number in range(count):
        log.add(Emitted(SpeechStarted(number), 0.0))
        log.add(Emitted(Finalized(str(number)) if number % 2 else final(number), 0.0))
    return log


def missed(log: EventLog, had: int | None, last_seq: int = 0) -> list[int]:
    events = [emitted.event for emitted in log.missed(Claim("s", "t", last_seq, had))]
    return [int(event.mark) if isinstance(event, Finalized) else event.seq for event in events]  # type: ignore[union-attr]


@pytest.mark.parametrize("had", [0, 1, 4, 9, 10])
def test_by_how_many_it_had(had: int) -> None:
    assert missed(logged(10), had) == list(range(had, 10))


def test_by_its_last_final_where_it_does_not_count() -> None:
    assert missed(logged(10), None, last_seq=4) == [5, 6, 7, 8, 9]
    assert missed(logged(10), None, last_seq=0) == list(range(1, 10))


def test_as_long_as_all_of_it_is_kept() -> None:
    log = logged(LIMIT + 10)
    assert missed(log, 10) == list(range(10, LIMIT + 10))
    with pytest.raises(ClientError, match="does not hold all events"):
        log.missed(Claim("s", "t", 0, 9))


def test_and_not_more_than_there_was() -> None:
    with pytest.raises(ClientError, match="does not hold all events"):
        logged(3).missed(Claim("s", "t", 0, 4))
