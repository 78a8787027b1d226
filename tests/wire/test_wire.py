"""A protocol is one small class: a toy that is no relation of ours speaks over the same connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import pytest
from cohear_server.config import ServerConfig
from cohear_server.core.audio import AudioFormat
from cohear_server.core.commands import Audio, Command, Finalize, Start, Stop
from cohear_server.core.events import Done, Failed, Final, Finalized, Heard, Partial
from cohear_server.errors import ClientError, CohearError
from cohear_server.live.caller import ANYONE
from cohear_server.live.outbox import Outgoing
from cohear_server.live.service import Service
from cohear_server.wire.channel import Gone
from cohear_server.wire.connection import MAX_FAULTS, serve
from cohear_server.wire.wire import Opening, Said
from cohear_testing.fake import FakeBackend

from ..serving import burst, quiet

SPEECH = quiet(0.5) + burst(1.0) + quiet(0.8)
TEXT = "! w0 w1 w2"


class ToyWire:
    """Audio; `now` for a final, `bye` at the end; `? text` is a partial, `! text` a final, `# code` a fault."""

    resumable = False

    def opening(self) -> Opening | None:
        return None

    def open(self, said: Said) -> Opening | None:
        return Opening(Start(AudioFormat(16_000, "pcm_s16le", 1))) if said == "hi" else None

    def hear(self, said: Said) -> Iterable[Command | Heard]:
        if isinstance(said, bytes):
            return [Audio(said)]
        if said not in ("now", "bye"):
            raise ClientError("what", f"{said!r} means nothing", "say now or bye")
        return [Finalize(), Stop()] if said == "bye" else [Finalize()]

    def tell(self, outgoing: Outgoing) -> Iterable[Said]:
        match outgoing.event:
            case Partial(stable=stable, volatile=volatile):
                yield f"? {stable} {volatile}".strip()
            case Final(text=text):
                yield f"! {text}"
            case Failed(fault=fault, fatal=fatal):
                yield f"# {fault.code}{' !' if fatal else ''}"
            case Done():
                yield "bye"

    def close_code(self, fault: CohearError | None) -> int:
        return 4_000 if fault else 1_000


class Script:
    """A channel without a network: what the client says is written down before. Then it waits, or is gone."""

    def __init__(self, *said: Said, gone: bool = False) -> None:
        self.said = list(said)
        self.got: list[Said] = []
        self.closed = 0
        self.opened = False
        self._gone = gone

    async def open(self) -> None:
        self.opened = True

    async def refuse(self, fault: CohearError) -> bool:
        return False

    async def receive(self) -> Said:
        for _ in range(10):
            await asyncio.sleep(0)  # as from a network: the others have their turn
        if self.said:
            return self.said.pop(0)
        if not self._gone:
            await asyncio.Event().wait()
        raise Gone(for_good=False)

    async def send(self, said: Said) -> None:
        self.got.append(said)

    async def close(self, code: int) -> None:
        self.closed = code


FRAMES = [SPEECH[i : i + 3_200] for i in range(0, len(SPEECH), 3_200)]


@contextlib.asynccontextmanager
async def toy_service(**settings: object) -> AsyncIterator[Service]:
    service = Service(ServerConfig(vad="energy", **{"admission": False} | settings), FakeBackend())  # type: ignore[arg-type]
    async with service.running():
        yield service


async def spoken(service: Service, script: Script, wire: ToyWire | None = None) -> Script:
    async with asyncio.timeout(60):
        await serve(script, wire or ToyWire(), service, ANYONE)
    return script


async def test_it_gets_partials_finals_and_the_end() -> None:
    async with toy_service() as service:
        script = await spoken(service, Script("hm", "hi", *FRAMES, "now", "bye"))
    assert script.got[-2:] == [TEXT, "bye"]
    assert any(str(said).startswith("? ") for said in script.got)
    assert script.closed == 1_000
    assert not service.streams


async def test_what_it_does_not_know_is_told_and_the_stream_goes_on() -> None:
    async with toy_service() as service:
        script = await spoken(service, Script("hi", "what", *FRAMES, "bye"))
    assert script.got[0] == "# what"
    assert script.got[-2:] == [TEXT, "bye"]


async def test_but_not_for_ever() -> None:
    async with toy_service() as service:
        script = await spoken(service, Script("hi", *FRAMES, *["what"] * (MAX_FAULTS + 1)))
    assert script.got.count("# what") == MAX_FAULTS
    assert script.got.count("# what !") == script.got.count(TEXT) == 1
    assert script.got[-1] == "bye"
    assert script.closed == 4_000


async def test_a_fault_ends_its_stream_in_order() -> None:
    async with toy_service() as service:
        script = await spoken(service, Script("hi", *FRAMES, b"odd"))
    assert script.got.count("# bad_audio !") == script.got.count(TEXT) == 1
    assert script.got[-1] == "bye"
    assert script.closed == 4_000


async def test_who_is_lost_has_nothing_to_come_back_to() -> None:
    async with toy_service() as service:
        await spoken(service, Script("hi", *FRAMES[:12], gone=True))
        assert not service.streams


async def test_a_refusal_has_its_form_too() -> None:
    async with toy_service(max_streams=1) as service:
        service.admit(Start())
        script = await spoken(service, Script("hi"))
    assert script.got == ["# overloaded !"]
    assert script.closed == 4_000


class Mute(ToyWire):
    """Has no way to say a final, and does not know that."""

    def tell(self, outgoing: Outgoing) -> Iterable[Said]:
        if isinstance(outgoing.event, Final):
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return super().tell(outgoing)


async def test_what_cannot_be_said_ends_its_stream_in_order_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async with toy_service() as service, asyncio.TaskGroup() as group:
        other = group.create_task(spoken(service, Script("hi", *FRAMES, "bye")))
        script = await spoken(service, Script("hi", *FRAMES, "now"), Mute())
    assert [said for said in script.got if not str(said).startswith("?")] == ["# internal !", "bye"]
    assert script.closed == 4_000
    assert other.result().got[-2:] == [TEXT, "bye"]
    assert "was not told" in caplog.text


class Courteous(ToyWire):
    """Answers `now` in its turn."""

    def hear(self, said: Said) -> Iterable[Command | Heard]:
        return [*super().hear(said), Heard(said)] if said == "now" else super().hear(said)

    def tell(self, outgoing: Outgoing) -> Iterable[Said]:
        match outgoing.event:
            case Heard(message=message):
                yield f"{message} it is"
            case Finalized():
                yield "that was it"
            case _:
                yield from super().tell(outgoing)


async def test_a_wire_hears_its_own_message_again_in_its_turn() -> None:
    async with toy_service() as service:
        script = await spoken(service, Script("hi", "now", *FRAMES, "bye"), Courteous())
    assert script.got[:2] == ["that was it", "now it is"], "what the command led to at once comes first"
    assert script.got[-3:] == [TEXT, "that was it", "bye"]
