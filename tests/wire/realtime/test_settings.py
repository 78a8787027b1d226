"""What a client asks for, as far as this server has it; and how the session answers it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from cohear_server.core.audio import AudioFormat
from cohear_server.core.commands import Start
from cohear_server.errors import ClientError
from cohear_server.wire.realtime.requests import Session
from cohear_server.wire.realtime.settings import Offer, Settings
from cohear_testing.fake import FAKE_MODEL

from .sessions import OFFER

USUAL = Settings.usual(OFFER)
MANY = Offer(replace(FAKE_MODEL, languages=("en", "de", "fr")), 500, 10.0)


def updated(before: Settings = USUAL, include: list[str] | None = None, **heard: Any) -> Settings:
    session: dict[str, Any] = {"audio": {"input": heard}}
    if include is not None:
        session["include"] = include
    return before.updated(msgspec.convert(session, Session))


def test_who_asks_for_nothing_gets_what_the_server_has() -> None:
    assert USUAL.start() == Start(AudioFormat(24_000), language="en", endpoint_ms=500, prompt="")


@pytest.mark.parametrize(
    ("asked", "silence_ms"),
    [
        ({"type": "server_vad"}, 500),
        ({"type": "server_vad", "silence_duration_ms": 350, "threshold": 0.9, "prefix_padding_ms": 600}, 350),
        ({"type": "server_vad", "silence_duration_ms": 1}, 100),
        ({"type": "server_vad", "silence_duration_ms": 60_000}, 5_000),
        ({"type": "semantic_vad"}, 500),
        ({"type": "semantic_vad", "eagerness": "low"}, 1_500),
        ({"type": "semantic_vad", "eagerness": "high"}, 300),
        ({"type": "semantic_vad", "eagerness": "whatever"}, 500),
    ],
)
def test_who_ends_a_turn_and_when(asked: dict[str, Any], silence_ms: int) -> None:
    settings = updated(turn_detection=asked)
    assert settings.endpoint_ms == silence_ms
    told = settings.told("s")["audio"]["input"]["turn_detection"]
    assert told["type"] == asked["type"]
    assert told.get("silence_duration_ms", silence_ms) == silence_ms


def test_null_leaves_the_turns_to_the_client() -> None:
    assert updated(turn_detection=None).told("s")["audio"]["input"]["turn_detection"] is None


def test_an_endpoint_fits_the_longest_segment() -> None:
    short = Settings.usual(replace(OFFER, max_segment_s=1.0))
    assert updated(short, turn_detection={"type": "server_vad", "silence_duration_ms": 4_000}).endpoint_ms == 1_000


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ({"language": "de"}, "de"),
        ({"language": "fr-CA"}, "fr"),
        ({"language": "EN_us"}, "en"),
        ({"language": "tlh"}, None),
        ({"language": ""}, None),
        ({"languages": ["de"]}, "de"),
        ({"languages": ["de", "en"]}, None),
        ({"languages": None, "language": None}, None),
    ],
)
def test_a_language_that_the_model_does_not_know_is_left_to_it(asked: dict[str, Any], language: str | None) -> None:
    settings = updated(Settings.usual(MANY), transcription=asked)
    assert settings.language == language
    assert settings.told("s")["audio"]["input"]["transcription"]["language"] == language


def test_any_model_is_the_one_that_is_loaded() -> None:
    settings = updated(transcription={"model": "gpt-4o-transcribe"})
    assert settings.told("s")["audio"]["input"]["transcription"]["model"] == "fake"
    assert settings.turns is not None
    assert not settings.early


def test_clients_of_live_models_get_early_text_and_end_turns_themselves() -> None:
    settings = updated(transcription={"model": "gpt-realtime-whisper"})
    assert settings.early
    assert settings.turns is None
    told = updated(turn_detection={"type": "server_vad"}, transcription={"model": "gpt-realtime-whisper"})
    assert told.turns is not None
    assert updated(told, transcription={"model": "gpt-realtime-whisper"}).turns is not None


@pytest.mark.parametrize(("delay", "early"), [("minimal", True), ("low", True), ("high", False), (None, False)])
def test_how_long_text_waits(delay: str | None, early: bool) -> None:
    assert updated(transcription={"delay": delay}).early is early


def test_a_prompt_and_keywords_are_one_hint_and_bounded() -> None:
    settings = updated(transcription={"prompt": "Names.", "keywords": ["Ann", "Bob"]})
    assert settings.start().prompt == "Names. Ann, Bob"
    long = updated(transcription={"prompt": "x" * 5_000, "keywords": ["y" * 5_000] * 500})
    assert len(long.start().prompt or "") == 1_000
    assert len(str(long.told("s"))) < 20_000


def test_log_probabilities_are_asked_for() -> None:
    wanted = "item.input_audio_transcription.logprobs"
    assert updated(include=[wanted]).told("s")["include"] == [wanted]
    assert updated(updated(include=[wanted]), include=[]).told("s")["include"] is None


def test_what_is_left_out_stays() -> None:
    before = updated(format={"type": "audio/pcmu"}, turn_detection=None, transcription={"prompt": "Ann"})
    assert updated(before) == before
    assert updated(before, transcription={"prompt": None}).prompt == ""


@pytest.mark.parametrize("wanted", [{"type": "audio/opus"}, {"type": "audio/pcm", "rate": 4_000}])
def test_audio_that_cannot_be_heard_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match=r"session\.audio\.input\.format") as refused:
        updated(format=wanted)
    assert refused.value.code == "invalid_value"
