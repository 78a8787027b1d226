"""One websocket joined to one stream, in one task group: a reader, a writer and a ticker.

Nothing waits in front of the session: each frame is handled as it is read, and when too much speech
waits for its text the reader stops reading, so that the client's own socket fills (`Stream.room`).
Behind the session waits the bounded outbox. A fault of the client ends its stream in order, finals
first; it never reaches another stream. A connection that is lost leaves its stream behind, to be resumed.
"""

from __future__ import annotations

import asyncio
import logging

from cohear_client import protocol
from cohear_client.messages import tag_of
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..access.caller import ANYONE, SCOPE, Caller
from ..core import commands
from ..core.events import Done, Failed
from ..errors import ClientError, CohearError, OverloadError, ServerError
from ..live.service import Service
from ..live.stream import Stream
from .native import to_claim, to_command, to_message, to_start

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 10.0
TICK_S = 0.25
CLOSE_TIMEOUT_S = 2.0


async def serve_stream(socket: WebSocket, service: Service) -> None:
    """Speak protocol v1 on a websocket until it is over, whoever ends it."""
    offered = socket.scope.get("subprotocols", [])
    await socket.accept(subprotocol=protocol.SUBPROTOCOL if protocol.SUBPROTOCOL in offered else None)
    try:
        start = await _read_start(socket)
        caller: Caller = socket.scope.get(SCOPE, ANYONE)
        wanted = start.resume
        begin = to_start(start)
        stream = service.admit(begin, caller) if wanted is None else service.resume(begin, to_claim(wanted), caller)
    except CohearError as fault:
        service.observer.refused(fault.code)
        await refuse(socket, fault)
        return
    except WebSocketDisconnect:
        return
    await _Connection(socket, stream, service).run()


class _Connection:
    def __init__(self, socket: WebSocket, stream: Stream, service: Service) -> None:
        self._socket = socket
        self._stream = stream
        self._outbox = stream.outbox
        self._service = service
        self._lost = False
        self._close_code = protocol.CLOSE_NORMAL
        self._heard_s = service.clock()

    async def run(self) -> None:
        """Until `done` is sent, the client is gone or does not read, or another connection took the stream over."""
        outbox = self._outbox
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(part()) for part in (self._read, self._tick)]
                writer = group.create_task(self._write())
                # an overflow closes the outbox while the writer hangs in a send that the client never reads
                watch = group.create_task(self._watch(writer))
                await asyncio.wait([writer])
                for task in (*tasks, watch):
                    task.cancel()
        finally:
            self._let_go()
        if outbox.overflowed:
            logger.warning("stream %s: cut off, its client does not read", self._stream.session.id)
            self._close_code = protocol.CLOSE_TRY_LATER
        await _close(self._socket, self._close_code)

    def _let_go(self) -> None:
        if self._stream.outbox is not self._outbox:
            return  # resumed over another connection, which answers for it now
        if self._lost or self._outbox.overflowed:
            self._service.detach(self._stream)
        else:
            self._service.dismiss(self._stream)

    async def _read(self) -> None:
        """Client to session. Ends when the client is gone."""
        try:
            while True:
                await self._stream.room()
                message = await self._socket.receive()
                self._heard_s = self._service.clock()
                if message["type"] == "websocket.disconnect":
                    # a client that closes normally does not come back
                    self._lost = message.get("code") != protocol.CLOSE_NORMAL
                    break
                try:
                    await self._take(message)
                except CohearError as fault:
                    self._fail(fault)
        except WebSocketDisconnect:
            self._lost = True
        except Exception:  # the boundary of this stream: whatever failed in it stays in it
            logger.exception("stream %s failed", self._stream.session.id)
            self._fail(ServerError("internal", "the server failed on this stream", "connect again"))
            return
        self._outbox.close()

    async def _take(self, message: Message) -> None:
        if self._stream.outbox is not self._outbox:
            return  # the client speaks over another connection now
        frame, text = message.get("bytes"), message.get("text")
        if isinstance(frame, bytes):
            await self._take_audio(frame)
        elif isinstance(text, str):
            self._take_text(text)

    async def _take_audio(self, frame: bytes) -> None:
        if self._stream.stopping and (self._service.draining or self._stream.expelled):
            return  # we closed, not the client: it was told, and this audio crossed the message
        if self._stream.stopping:
            raise ClientError("stopped", "audio came after stop", "start a new stream for more audio")
        if len(frame) > protocol.MAX_FRAME_BYTES:
            limit = f"send frames of at most {protocol.MAX_FRAME_BYTES} bytes; 20 to 100 ms each is best"
            raise ClientError("frame_too_large", f"a binary frame has {len(frame)} bytes", limit)
        await self._stream.take(frame, self._heard_s)

    def _take_text(self, text: str) -> None:
        try:
            check_text(text)
            match protocol.decode_client(text):
                case protocol.Start():
                    raise ClientError("already_started", "start came twice", "use configure to change options")
                case protocol.KeepAlive():
                    pass
                case message:
                    self._obey(to_command(message))
        except ClientError as fault:
            # a wrong control message harms nothing that was said: the stream goes on
            self._stream.say(Failed(fault, fatal=False))

    def _obey(self, command: commands.Command) -> None:
        if isinstance(command, commands.Configure):
            self._service.model.check(command)
        self._stream.handle(command)

    def _fail(self, fault: CohearError) -> None:
        """Tell the client, then end the stream in order: what was said before the fault still becomes text."""
        if self._close_code == protocol.CLOSE_NORMAL:
            self._close_code = _close_code(fault)
            self._stream.say(Failed(fault))
        self._stream.stop()

    async def _write(self) -> None:
        """Session to client. Ends when `done` is sent or nobody listens."""
        outbox = self._outbox
        try:
            while await outbox.wait():
                outgoing = outbox.take(self._service.clock())
                await self._socket.send_text(protocol.encode(to_message(outgoing.event, outgoing.stages)))
                if isinstance(outgoing.event, Done):
                    return
        except (WebSocketDisconnect, RuntimeError):
            # Starlette raises RuntimeError when the close was seen by the reader first
            self._lost = True
            outbox.close()

    async def _watch(self, writer: asyncio.Task[None]) -> None:
        await self._outbox.closed.wait()
        writer.cancel()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._stream.tick()
            idle_s = self._service.clock() - self._heard_s
            waiting = self._stream.stopping or self._stream.session.backlog_s > 0
            if idle_s > self._service.config.idle_timeout_s and not waiting:
                remedy = "send audio or keepalive messages"
                self._fail(ClientError("idle_timeout", f"nothing came for {idle_s:.0f} s", remedy))


def check_text(text: str) -> None:
    """Raises ClientError for a text that is not worth reading."""
    # as many bytes as characters at least, and up to four times as many: near enough for a limit
    if len(text) > protocol.MAX_TEXT_BYTES:
        most = f"send texts of at most {protocol.MAX_TEXT_BYTES} bytes"
        raise ClientError("message_too_large", f"a text frame has {len(text)} characters", most)


async def _read_start(socket: WebSocket) -> protocol.Start:
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            message = await socket.receive()
    except TimeoutError:
        raise ClientError("not_started", "no start message came", "send start right after connecting") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    text = message.get("text")
    if not isinstance(text, str):
        raise ClientError("not_started", "audio came before start", "send a start message first")
    check_text(text)
    start = protocol.decode_client(text)
    if not isinstance(start, protocol.Start):
        raise ClientError("not_started", f"{tag_of(start)} came before start", "send a start message first")
    return start


async def refuse(socket: WebSocket, fault: CohearError) -> None:
    try:
        await socket.send_text(protocol.encode(protocol.error_message(fault)))
    except (WebSocketDisconnect, RuntimeError):
        return
    await _close(socket, _close_code(fault))


async def _close(socket: WebSocket, code: int) -> None:
    try:
        # a client that does not read does not take the close frame either
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await socket.close(code)
    except (WebSocketDisconnect, RuntimeError, TimeoutError):
        logger.debug("the client was gone before the close")


def _close_code(fault: CohearError) -> int:
    if isinstance(fault, OverloadError):
        return protocol.CLOSE_TRY_LATER
    return protocol.CLOSE_CLIENT_FAULT if isinstance(fault, ClientError) else protocol.CLOSE_SERVER_FAULT
