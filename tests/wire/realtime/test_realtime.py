"""The wire over the one connection: what a client says, what it is told, and in which order."""

from __future__ import annotations

import asyncio
import io
import json
import math
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from cohear_server.core.audio import AudioFormat
from cohear_server.core.commands import Audio, Configure, Finalize, Start
from cohear_server.core.events import Done, Final, Finalized, Heard, Ready
from cohear_server.core.ledger import SampleCount
from cohear_server.live.caller import ANYONE
from cohear_server.live.outbox import Outgoing
from cohear_server.live.service import Service
from cohear_server.wire.channel import Gone
from cohear_server.wire.connection import MAX_AUDIO_BYTES, serve
from cohear_server.wire.realtime.realtime import MAX_MARKS, RealtimeWire
from cohear_server.wire.realtime.requests import MAX_MESSAGE_BYTES, MAX_TEXT_CHARS, Refused
from cohear_server.wire.realtime.routes import offer_of
from cohear_server.wire.realtime.settings import Settings
from cohear_server.wire.wire import Said
from hypothesis import given
from hypothesis import strategies as st

from ...serving import burst, quiet
from ..test_wire import Script, toy_service
from .sessions import OFFER, TRANSCRIPTION, Told, append, buffer, joined, of, update


def at_24k(pcm: bytes) -> bytes:
    return np.asarray(soxr.resample(np.frombuffer(pcm, "<i2"), 16_000, 24_000), "<i2").tobytes()


SPEECH = at_24k(quiet(0.5) + burst(1.2) + quiet(0.8))
SILENCE = bytes(4_800)
PIECES = [append(SPEECH[i : i + 4_800]) for i in range(0, len(SPEECH), 4_800)]
COMMIT = buffer("commit")
MANUAL = update(turn_detection=None)
COMPLETED, DELTA = TRANSCRIPTION + "completed", TRANSCRIPTION + "delta"


class Patient(Script):
    """Goes for good when it has been told so many completed items, or `until`."""

    def __init__(self, *said: str | bytes, completed: int = 1, until: str = COMPLETED) -> None:
        super().__init__(*said)
        self._left, self._until = completed, until
        self._over = asyncio.Event()

    async def receive(self) -> Said:
        if self.said:
            return await super().receive()
        await self._over.wait()
        raise Gone(for_good=True)

    async def send(self, said: Said) -> None:
        await super().send(said)
        self._left -= json.loads(said)["type"] == self._until
        if self._left <= 0:
            self._over.set()


async def told(*said: str | bytes, completed: int = 1, until: str = COMPLETED, beta: bool = False) -> list[Told]:
    async with toy_service() as service:
        return await told_by(service, Patient(*said, completed=completed, until=until), beta=beta)


async def told_by(service: Service, script: Script, *, beta: bool = False) -> list[Told]:
    """All that a client is told."""
    async with asyncio.timeout(30):
        await serve(script, RealtimeWire(Settings.usual(offer_of(service)), beta=beta), service, ANYONE)
    return [json.loads(text) for text in script.got]


def kinds(messages: list[Told]) -> list[str]:
    return [message["type"].rsplit(".", 1)[-1] for message in messages]


async def test_the_session_is_there_before_anything_is_asked() -> None:
    messages = await told(until="session.created")
    session = messages[0]["session"]
    assert session["type"] == "transcription"
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert session["audio"]["input"]["transcription"]["model"] == "fake"
    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"


async def test_a_turn_that_the_server_ends() -> None:
    messages = await told(*PIECES)
    assert kinds(messages) == [
        "created",
        "speech_started",
        "speech_stopped",
        "committed",
        "added",
        "done",
        "delta",
        "completed",
    ]
    started, stopped, done = messages[1], messages[2], messages[-1]
    assert started["audio_start_ms"] == pytest.approx(200, abs=60)
    assert stopped["audio_end_ms"] == pytest.approx(1_900, abs=60)
    assert len({message["event_id"] for message in messages}) == len(messages)
    item_id = started["item_id"]
    assert {m.get("item_id", item_id) for m in messages} == {item_id}
    assert joined(messages, item_id) == done["transcript"] == "w0 w1 w2"
    assert done["usage"] == {"type": "duration", "seconds": pytest.approx(1.7, abs=0.1)}


async def test_audio_that_comes_before_the_first_update_is_kept() -> None:
    messages = await told(*PIECES, MANUAL, COMMIT)
    assert of(COMPLETED, messages)[0]["transcript"] == "w0 w1 w2"


async def test_a_client_that_commits_has_one_item_a_commit_however_many_pauses() -> None:
    messages = await told(MANUAL, *PIECES, *PIECES, COMMIT, *PIECES, COMMIT, completed=2)
    assert "speech_started" not in kinds(messages)
    first, second = of(COMPLETED, messages)
    assert first["transcript"].startswith("w0 w1 w2 w")
    assert second["transcript"]
    for done in (first, second):
        assert joined(messages, done["item_id"]) == done["transcript"]
    commits = of("input_audio_buffer.committed", messages)
    assert [m["item_id"] for m in commits] == [first["item_id"], second["item_id"]]
    assert commits[1]["previous_item_id"] == first["item_id"]


async def test_silence_that_is_committed_is_an_item_without_text() -> None:
    messages = await told(MANUAL, append(SILENCE), COMMIT)
    assert of(COMPLETED, messages)[0]["transcript"] == ""
    assert not of(DELTA, messages)


@pytest.mark.parametrize("before", [[], [append(SILENCE[:4_700])], [append(SILENCE), buffer("clear")]])
async def test_a_commit_of_under_100_ms_is_an_error_and_the_session_goes_on(before: list[str]) -> None:
    messages = await told(MANUAL, *before, buffer("commit", event_id="mine"), *PIECES, COMMIT)
    (error,) = of("error", messages)
    assert error["error"]["code"] == "input_audio_buffer_commit_empty"
    assert error["error"]["type"] == "invalid_request_error"
    assert error["error"]["event_id"] == "mine"
    assert of(COMPLETED, messages)[0]["transcript"] == "w0 w1 w2"


async def test_what_is_cleared_has_no_text() -> None:
    messages = await told(MANUAL, *PIECES, buffer("clear"), append(SILENCE), COMMIT)
    assert of("input_audio_buffer.cleared", messages)
    assert of(COMPLETED, messages)[0]["transcript"] == ""


@pytest.mark.parametrize(("kind", "encoding"), [("audio/pcmu", "ULAW"), ("audio/pcma", "ALAW")])
async def test_telephone_audio(kind: str, encoding: str) -> None:
    pcm = soxr.resample(np.frombuffer(SPEECH, "<i2"), 24_000, 8_000)
    file = io.BytesIO()
    soundfile.write(file, np.asarray(pcm, np.int16), 8_000, format="RAW", subtype=encoding)
    messages = await told(update(format={"type": kind}), append(file.getvalue()))
    assert of("session.updated", messages)[0]["session"]["audio"]["input"]["format"] == {"type": kind}
    assert of(COMPLETED, messages)[0]["transcript"] == "w0 w1 w2"


async def test_the_shapes_of_the_beta() -> None:
    change = {
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "whisper-1"},
        "turn_detection": None,
    }
    beta = json.dumps({"type": "transcription_session.update", "session": change})
    messages = await told(beta, *PIECES, COMMIT, beta=True)
    assert messages[0]["type"] == "transcription_session.created"
    (updated,) = of("transcription_session.updated", messages)
    assert updated["session"]["turn_detection"] is None
    assert updated["session"]["input_audio_transcription"]["model"] == "fake"
    assert of("conversation.item.created", messages)
    assert not of("conversation.item.added", messages)
    assert of(COMPLETED, messages)[0]["transcript"] == "w0 w1 w2"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("{", "bad_json"),
        ("[]", "bad_json"),
        ('{"type": "response.create"}', "unknown_type"),
        ('{"type": "input_audio_buffer.append", "audio": "%%%"}', "invalid_audio"),
        ('{"type": "input_audio_buffer.append", "audio": 5}', "bad_field"),
        ('{"type": "session.update", "session": 5}', "bad_field"),
        (update(format={"type": "audio/mp3"}), "invalid_value"),
        (update(format={"type": "audio/pcm", "rate": 96_000}), "invalid_value"),
        (update(transcription={"prompt": "<|endoftext|>"}), "bad_field"),
        (b"\0\0", "invalid_message"),
        ("{" + "x" * MAX_TEXT_CHARS, "invalid_message"),
        (json.dumps({"type": "session.update", "x": "x" * MAX_TEXT_CHARS}), "message_too_large"),
        ('"' + "x" * MAX_MESSAGE_BYTES, "message_too_large"),
    ],
)
async def test_a_wrong_message_is_an_error_and_the_session_goes_on(said: str | bytes, code: str) -> None:
    messages = await told(said, *PIECES)
    (error,) = of("error", messages)
    assert error["error"]["code"] == code
    assert len(error["error"]["message"]) < 400
    assert of(COMPLETED, messages)[0]["transcript"] == "w0 w1 w2"


async def test_a_format_that_changes_under_way_is_an_error() -> None:
    messages = await told(*PIECES[:3], update(format={"type": "audio/pcmu"}), *PIECES[3:])
    (error,) = of("error", messages)
    assert error["error"]["code"] == "invalid_value"
    assert of(COMPLETED, messages)


def wire() -> RealtimeWire:
    return RealtimeWire(Settings.usual(OFFER))


def test_samples_may_be_cut_anywhere() -> None:
    one = wire()
    pieces = [*one.hear(append(b"\1")), *one.hear(append(b"\2\3\4\5")), *one.hear(append(b"\6"))]
    assert pieces == [Audio(b"\1\2\3\4"), Audio(b"\5\6")]


def test_a_long_append_is_taken_in_pieces() -> None:
    data = bytes(15 << 20)
    pieces = [piece.data for piece in wire().hear(append(data)) if isinstance(piece, Audio)]
    assert max(map(len, pieces)) <= MAX_AUDIO_BYTES
    assert b"".join(pieces) == data


def test_an_update_changes_what_it_names_and_nothing_else() -> None:
    one = wire()
    first = list(one.hear(update(transcription={"language": "en-US", "prompt": "Ann"}, format={"type": "audio/pcmu"})))
    assert first[0] == Configure(language="en", endpoint_ms=500, prompt="Ann", format=AudioFormat(8_000, "mulaw"))
    second = list(one.hear(update(turn_detection={"type": "server_vad", "silence_duration_ms": 900})))
    assert second[0] == Configure(language="en", endpoint_ms=900, prompt="Ann", format=AudioFormat(8_000, "mulaw"))


def test_commits_that_nobody_answers_are_bounded() -> None:
    one = wire()
    list(one.tell(Outgoing(Ready("s", "t", "m"))))

    def commit() -> list[Any]:
        list(one.hear(append(SILENCE)))
        return list(one.hear(COMMIT))

    for _ in range(MAX_MARKS):
        for command in commit():
            if isinstance(command, Heard):
                list(one.tell(Outgoing(command)))
    with pytest.raises(Refused, match="have no text yet"):
        commit()
    list(one.tell(Outgoing(Finalized("1"))))
    assert Finalize(str(MAX_MARKS + 1)) in commit()


def test_text_that_was_not_committed_is_told_when_the_server_ends_the_stream() -> None:
    one = wire()
    for command in one.hear(MANUAL):
        if isinstance(command, Heard):
            list(one.tell(Outgoing(command)))
    list(one.tell(Outgoing(Final(1, 0, "one", 1.0, "en", 0, 16_000, "stop", "m"))))
    last = [json.loads(said) for said in one.tell(Outgoing(Done(SampleCount(), 1)))]
    assert kinds(last) == ["committed", "added", "done", "completed"]
    assert math.isclose(last[-1]["usage"]["seconds"], 1.0)


async def test_a_full_server_refuses_in_the_protocols_own_form() -> None:
    async with toy_service(max_streams=1) as service:
        service.admit(Start())
        script = Script()
        (error,) = await told_by(service, script)
    assert (error["type"], error["error"]["code"]) == ("error", "overloaded")
    assert script.closed == 1_013


names = st.sampled_from(["type", "session", "audio", "input", "format", "turn_detection", "transcription", "event_id"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["audio/pcm", "en"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
types = st.sampled_from(
    [
        "session.update",
        "transcription_session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "response.create",
    ]
)
said = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=40),
    st.builds(lambda kind, rest: json.dumps({**rest, "type": kind}), types, st.dictionaries(names, values, max_size=4)),
    st.builds(append, st.binary(max_size=6_000)),
)


@given(st.lists(said, max_size=12))
def test_nonsense_is_refused_or_understood_and_every_answer_can_be_sent(program: list[str | bytes]) -> None:
    """No message ends the wire, whatever was said before."""
    one = wire()
    list(one.tell(Outgoing(Ready("s", "t", "m"))))
    for message in program:
        try:
            commands = list(one.hear(message))
        except Refused:
            continue
        for command in commands:
            match command:
                case Heard():
                    for text in one.tell(Outgoing(command)):
                        json.loads(text)
                case Finalize(mark):
                    list(one.tell(Outgoing(Finalized(mark))))
                case Audio(data):
                    assert len(data) <= MAX_AUDIO_BYTES


async def test_nonsense_harms_no_other_session() -> None:
    async with toy_service() as service:
        nonsense: list[Said] = ["{", b"\0", '{"type": 5}']
        hostile = Script(*nonsense * 60)
        beside = asyncio.create_task(told_by(service, Patient(*PIECES)))
        messages = await told_by(service, hostile)
        assert of(COMPLETED, await beside)[0]["transcript"] == "w0 w1 w2"
    assert {message["type"] for message in messages} == {"session.created", "error"}
    assert hostile.closed == 1_008
