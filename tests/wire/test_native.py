"""The native protocol's messages as commands, and events as its messages."""

from __future__ import annotations

from typing import get_args

import pytest
from cohear_client import protocol
from cohear_server.core import commands, events
from cohear_server.core.audio import AudioFormat
from cohear_server.core.jobs import HypothesisWord
from cohear_server.core.ledger import SampleCount
from cohear_server.errors import OverloadError, ServerError
from cohear_server.live.timing import Stages
from cohear_server.wire.native import to_claim, to_command, to_message, to_start

WORDS = (HypothesisWord("one", 16_000, 20_000, 0.87654321),)
COUNT = SampleCount(4, 3, 1, 0)

EVENTS: list[tuple[events.Event, protocol.ServerMessage]] = [
    (events.SpeechStarted(8_000), protocol.SpeechStarted(0.5)),
    (events.SpeechEnded(16_000), protocol.SpeechEnded(1.0)),
    (
        events.Partial(1, 0, 2, "one", "two", 0.123456, 24_000, WORDS),
        protocol.Partial(
            1, 0, 2, "one", "two", 0.1235, 1.5, protocol.Timing(), (protocol.Word("one", 1.0, 1.25, 0.8765),)
        ),
    ),
    (
        events.Final(3, 0, "one", 0.5, "en", 8_000, 24_000, "endpoint", "m", None, ("loop",), ("early_cut",)),
        protocol.Final(
            3, 0, "one", 0.5, "en", 0.5, 1.5, "endpoint", "m", protocol.Timing(), (), ("loop",), ("early_cut",)
        ),
    ),
    (
        events.Lost(0, 0, 16_000, ServerError("decode_failed", "no text", "say it again")),
        protocol.Error("decode_failed", "no text", "say it again", fatal=False, start_s=0.0, end_s=1.0),
    ),
    (events.Finalized("here"), protocol.Finalized("here")),
    (
        events.Stats(0.0123456, 1.23456, 10.04, 2, COUNT, 24_000),
        protocol.Stats(12.346, 1.235, 10.0, 2, protocol.SampleCount(4, 3, 1, 0), 1.5),
    ),
    (events.Notice("clipped", "too loud"), protocol.Warning("clipped", "too loud")),
    (events.Done(COUNT, 2), protocol.Done(protocol.SampleCount(4, 3, 1, 0), 2)),
    (
        events.Ready("s", "t", "m", events.Limits(10.0, 60.0, 30.0), 5),
        protocol.Ready("s", "t", "m", protocol.Limits(protocol.MAX_FRAME_BYTES, 10.0, 60.0, 30.0), 5),
    ),
    (
        events.Failed(OverloadError("overloaded", "full", "later", retry_after_s=5.0)),
        protocol.Error("overloaded", "full", "later", fatal=True, retry_after_s=5.0),
    ),
    (events.Closing("shutdown", 1.0), protocol.Closing("shutdown", 1_000)),
]


@pytest.mark.parametrize(("event", "message"), EVENTS, ids=lambda pair: type(pair).__name__)
def test_each_event_has_its_message(event: events.Event, message: protocol.ServerMessage) -> None:
    assert to_message(event) == message


def test_every_event_is_among_them() -> None:
    """But `Heard`, which this wire never asks for."""
    assert {type(event) for event, _ in EVENTS} == set(get_args(events.Event)) - {events.Heard}


def test_the_stages_of_a_decoding_are_its_timing() -> None:
    message = to_message(events.Partial(1, 0, 1, "", "", 0.0, 0), Stages(receive_ms=1.0, decode_ms=2.5, batch_size=3))
    assert isinstance(message, protocol.Partial)
    assert message.words is None, "none were asked for"
    assert message.timing == protocol.Timing(receive_ms=1.0, decode_ms=2.5, batch_size=3)


def test_what_a_client_says_is_kept_whole() -> None:
    wanted = protocol.Start(
        8_000,
        "mulaw",
        2,
        "de",
        "translate",
        "base",
        partials=False,
        words=False,
        endpoint_ms=900,
        prompt="Ann",
        hotwords=("Cohear", "Ann Lee"),
        languages=("German", "en-GB", "de"),
        quality=protocol.Quality("speed"),
    )
    assert to_start(wanted) == commands.Start(
        AudioFormat(8_000, "mulaw", 2),
        "de",
        "translate",
        "base",
        False,
        False,
        900,
        "Ann",
        "Cohear, Ann Lee",
        languages=("de", "en"),
        prefer="speed",
    )
    assert to_start(protocol.Start(language="de-AT")).language == "de"
    assert to_start(protocol.Start(language="klingon")).language == "klingon", "the model refuses it by name"
    assert to_start(protocol.Start()) == commands.Start()
    assert to_claim(protocol.Resume("s", "t", 7)) == commands.Claim("s", "t", 7)
    change = protocol.Configure(
        "de",
        "translate",
        partials=False,
        words=False,
        endpoint_ms=900,
        prompt="Ann",
        hotwords=("Cohear",),
        quality=protocol.Quality("accuracy"),
    )
    assert to_command(change) == commands.Configure("de", "translate", False, False, 900, "Ann", "Cohear", "accuracy")
    assert to_command(protocol.Finalize("a")) == commands.Finalize("a")
    assert to_command(protocol.Stop()) == commands.Stop()
