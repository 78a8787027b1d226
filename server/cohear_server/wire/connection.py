"""Joins one connection to one stream, in one task group, for any protocol (`Wire`).

No queue lies before the session: each message is handled as it is read. When too much speech waits for its text, the
reader stops reading, so the client's own socket fills (`Stream.room`). After the session comes the bounded outbox. A
fault of the client ends its stream in order, finals first; it never reaches another stream. A connection that is lost
leaves its stream behind, to be resumed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from ..core.commands import Audio, Command, Configure
from ..core.events import Done, Failed, Heard
from ..errors import ClientError, CohearError, ServerError
from ..live.caller import Caller
from ..live.outbox import Outgoing
from ..live.service import Service
from ..live.stream import Stream
from .channel import Channel, Gone
from .wire import CLOSE_TRY_LATER, Opening, Said, Wire

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 10.0
MAX_AUDIO_BYTES = 1 << 20
"""of one audio message: over 30 s of 16 kHz PCM16"""
MAX_FAULTS = 100
"""wrong messages before the stream ends: a client that sends more does not listen to the errors"""
LEAST_WAIT_S = 0.25


async def serve(channel: Channel, wire: Wire, service: Service, caller: Caller) -> None:
    """Speak a protocol on a connection until one side ends it."""
    try:
        opening = await _opening(channel, wire)
        if opening.claim is None:
            stream = service.admit(opening.start, caller)
        else:
            stream = service.resume(opening.start, opening.claim, caller)
    except CohearError as fault:
        service.observer.refused(fault.code)
        await refuse(channel, wire, fault)
    except Gone:
        return
    else:
        try:
            await channel.open()
        except Gone:
            service.dismiss(stream)
            return
        await _Connection(channel, wire, stream, service).run()


async def refuse(channel: Channel, wire: Wire, fault: CohearError) -> None:
    """Send the error to a client that gets no stream, and close."""
    try:
        if await channel.refuse(fault):
            return
        for said in wire.tell(Outgoing(Failed(fault))):
            await channel.send(said)
    except Gone:
        return
    await channel.close(wire.close_code(fault))


async def _opening(channel: Channel, wire: Wire) -> Opening:
    opening = wire.opening()
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while opening is None:
                opening = wire.open(await channel.receive())
    except TimeoutError:
        raise ClientError("not_started", "no start message came", "send start right after connecting") from None
    return opening


class _Connection:
    def __init__(self, channel: Channel, wire: Wire, stream: Stream, service: Service) -> None:
        self._channel = channel
        self._wire = wire
        self._stream = stream
        self._outbox = stream.outbox
        self._service = service
        self._lost = False
        self._fault: CohearError | None = None
        """what ended the stream"""
        self._forgiven = 0
        self._heard_s = service.clock()
        self._taking = False
        """whether received audio is being handled, which may take some time"""

    async def run(self) -> None:
        """Run until `Done` is sent, the client is gone or does not read, or another connection resumed the stream."""
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write())
                # an overflow closes the outbox while the writer hangs in a send that the client never reads
                parts = (self._read(), self._watch_silence(), self._cut_off(writer))
                others = [group.create_task(part) for part in parts]
                await asyncio.wait([writer])
                for task in others:
                    task.cancel()
        finally:
            self._let_go()
        if self._outbox.overflowed:
            logger.warning("stream %s: cut off, its client does not read", self._stream.session.id)
            await self._channel.close(CLOSE_TRY_LATER)
        else:
            await self._channel.close(self._wire.close_code(self._stream.fault or self._fault))

    def _let_go(self) -> None:
        if self._stream.outbox is not self._outbox:
            return  # another connection resumed the stream, and is responsible for it now
        resumable = self._wire.resumable and self._stream.fault is None
        if resumable and (self._lost or self._outbox.overflowed):
            self._service.detach(self._stream)
        else:
            self._service.dismiss(self._stream)

    # --- client to session ------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read until the client is gone."""
        try:
            while True:
                await self._stream.room()
                try:
                    said = await self._channel.receive()
                except ClientError as fault:
                    self._fail(fault)
                    continue
                self._heard_s = self._service.clock()
                await self._take(said)
                # many small messages may be there at once, and each may have an answer: the writer has its turn
                await asyncio.sleep(0)
        except Gone as gone:
            self._lost = not gone.for_good
            self._outbox.close()
        except Exception:  # the boundary of this stream: its failure must not reach others
            logger.exception("stream %s failed", self._stream.session.id)
            self._stream.fail()

    async def _take(self, said: Said) -> None:
        if self._stream.outbox is not self._outbox:
            return  # another connection has resumed the stream
        try:
            commands = list(self._wire.hear(said))
        except ClientError as fault:
            self._forgive(fault)
            return
        for command in commands:
            match command:
                case Audio(data):
                    await self._take_audio(data)
                case Heard():
                    self._stream.say(command)
                case _:
                    self._obey(command)

    async def _take_audio(self, data: bytes) -> None:
        if self._stream.stopping and (self._service.draining or self._stream.expelled):
            return  # we ended the stream and said so; this audio was on its way already
        self._taking = True
        try:
            self._check(data)
            await self._stream.take(data, self._heard_s)
        except ClientError as fault:
            self._fail(fault)
        finally:
            self._taking = False

    def _check(self, data: bytes) -> None:
        """Raises ClientError for audio that comes too late or is too much at once."""
        if self._stream.stopping:
            raise ClientError("stopped", "audio came after stop", "start a new stream for more audio")
        if len(data) > MAX_AUDIO_BYTES:
            limit = f"send at most {MAX_AUDIO_BYTES} bytes at once; 20 to 100 ms each is best"
            raise ClientError("frame_too_large", f"a binary frame has {len(data)} bytes", limit)

    def _obey(self, command: Command) -> None:
        try:
            if isinstance(command, Configure):
                self._service.model.check(command)
            self._stream.handle(command)
        except ClientError as fault:
            self._forgive(fault)

    def _forgive(self, fault: ClientError) -> None:
        """Report a wrong message. The stream goes on, unless there are too many of them."""
        self._forgiven += 1
        if self._forgiven > MAX_FAULTS:
            self._fail(fault)
        else:
            self._stream.say(Failed(fault, fatal=False))

    def _fail(self, fault: CohearError) -> None:
        """Tell the client, then end the stream in order: audio before the fault still becomes text."""
        if self._fault is None:
            self._fault = fault
            self._stream.say(Failed(fault))
        self._stream.stop()

    async def _watch_silence(self) -> None:
        limit_s = self._service.config.idle_timeout_s
        while True:
            idle_s = self._service.clock() - self._heard_s
            waiting = self._taking or self._stream.stopping or self._stream.session.backlog_s > 0
            if idle_s > limit_s and not waiting:
                remedy = "send audio or keepalive messages"
                self._fail(ClientError("idle_timeout", f"nothing came for {idle_s:.0f} s", remedy))
            await asyncio.sleep(max(LEAST_WAIT_S, limit_s - idle_s))

    # --- session to client ------------------------------------------------------------------------

    async def _write(self) -> None:
        """Write until `Done` is sent or the client is gone."""
        try:
            while await self._outbox.wait():
                outgoing = self._outbox.take(self._service.clock())
                for said in self._told(outgoing):
                    await self._channel.send(said)
                if isinstance(outgoing.event, Done):
                    return
        except Gone:
            self._lost = True
            self._outbox.close()

    def _told(self, outgoing: Outgoing) -> Iterable[Said]:
        try:
            return list(self._wire.tell(outgoing))
        except Exception:  # the boundary of this stream: one event that cannot be sent must not stop the others
            logger.exception("stream %s: an event was not told", self._stream.session.id)
            self._fail(ServerError("internal", "the server could not say what it heard", "connect again"))
            return ()

    async def _cut_off(self, writer: asyncio.Task[None]) -> None:
        await self._outbox.closed.wait()
        writer.cancel()
