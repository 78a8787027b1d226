"""Limits of a connection before a key is known: its silence, the size of its head, and unread data.

These are uvicorn's protocols, with limits for which uvicorn has no settings. They know neither keys nor messages.
`open_sockets` counts the connections.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

import h11
from uvicorn._types import ASGIReceiveEvent
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from ..errors import ClientError, CohearError, OverloadError
from ..live.caller import network_of
from .open_sockets import OpenSockets

PIECE_BYTES = 16 << 10
"""of what a websocket sends, taken at once"""

LONG_MESSAGES = "cohear.long_messages"
"""the ASGI extension by which an application that knows its client allows it longer messages"""

TOO_LARGE = ClientError("head_too_large", "the head of the request is too large", "send fewer or shorter headers")


class _Alarm:
    """One timer, that may be set again."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def start(self, after_s: float, action: Callable[[], object]) -> None:
        self.stop()
        self._handle = asyncio.get_running_loop().call_later(after_s, action)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class HttpSocket(H11Protocol):
    """HTTP/1.1 until it becomes a websocket."""

    server_state: OpenSockets
    address = ""
    is_websocket = False

    def __init__(self, config: Config, server_state: OpenSockets, app_state: dict[str, Any], **rest: Any) -> None:
        super().__init__(config, server_state, app_state, **rest)
        self._head, self._stall = _Alarm(), _Alarm()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = network_of(self.client[0] if self.client else "")
        if not self.server_state.opened(self):
            transport.abort()
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head.stop()
        self._stall.stop()
        self.server_state.closed(self)
        super().connection_lost(exc)

    def give_way(self) -> None:
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._is_large_head(data):
            self._refuse(TOO_LARGE)
            return
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head.stop()
            self.server_state.busy(self)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle is None or self.cycle.response_complete:
            self._expect_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall.start(self.server_state.limits.stall_s, self.give_way)
        self.server_state.silent(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stall.stop()
        self.server_state.busy(self)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        limits = self.server_state.limits
        try:
            lines = [len(event.target) + 16, *(len(name) + len(value) + 4 for name, value in self.headers)]
            if sum(lines) > limits.head_bytes or max(lines) > limits.line_bytes or len(lines) > limits.headers:
                raise TOO_LARGE
            self.server_state.check_websocket(self)
        except CohearError as fault:
            self._refuse(fault)
            return
        self._head.stop()
        super().handle_websocket_upgrade(event)

    def _is_large_head(self, data: bytes) -> bool:
        """h11 limits a head only while it is incomplete."""
        if self.conn.their_state is not h11.IDLE:
            return False
        left = self.server_state.limits.head_bytes - len(self.conn.trailing_data[0])
        return len(data) > left and b"\r\n\r\n" not in data[: max(0, left)]

    def _expect_head(self) -> None:
        self._head.start(self.server_state.limits.head_s, self.give_way)
        self.server_state.silent(self)

    def _refuse(self, fault: CohearError) -> None:
        """Answer and close. No application runs for it."""
        status, extra = (503, retry_after(fault)) if isinstance(fault, OverloadError) else (431, {})
        body = json.dumps(told(fault)).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close", **extra}
        response = h11.Response(status_code=status, headers=list(headers.items()), reason=STATUS_PHRASES[status])
        for part in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()


class _Frames(ServerProtocol):
    """Frames of a websocket, whose first message is smaller than the others."""

    def __init__(self, first_bytes: int, most_bytes: int) -> None:
        super().__init__(max_size=first_bytes, logger=logging.getLogger("uvicorn.error"))
        self._most_bytes = most_bytes

    def recv_frame(self, frame: Frame) -> None:
        super().recv_frame(frame)
        if frame.fin and frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self.max_message_size = self._most_bytes

    def allow(self, most_bytes: int) -> None:
        """Messages may be so long from now on, the first one too."""
        self.max_message_size = self._most_bytes = most_bytes


class WebSocket(WebSocketsSansIOProtocol):
    """A websocket, from its handshake on."""

    address = ""
    is_websocket = True

    def __init__(self, config: Config, server_state: OpenSockets, app_state: dict[str, Any], **rest: Any) -> None:
        super().__init__(config, server_state, app_state, **rest)
        self._table = server_state
        self._stall = _Alarm()
        self._received_s = 0.0
        self._unread = bytearray()
        self._reading = False  # what came is taken in pieces, and no more is read meanwhile
        self.conn = self._frames = _Frames(server_state.limits.first_message_bytes, config.ws_max_size)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        before = cast(HttpSocket, self.transport.get_protocol())
        self.address = before.address
        self._table.replaced(before, self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stall.stop()
        self._table.closed(self)
        super().connection_lost(exc)

    def give_way(self) -> None:
        self.transport.abort()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.handshake_complete:  # it is the application that answers
            self.scope["extensions"][LONG_MESSAGES] = {"allow": self._frames.allow}

    def data_received(self, data: bytes) -> None:
        """Piece by piece, with the loop free between them: a read may hold many thousand small frames."""
        self._received_s = self.loop.time()
        self._unread += data
        if len(self._unread) <= PIECE_BYTES:
            self._take_piece()
        elif not self._reading:
            self._reading = True
            self.transport.pause_reading()
            self.loop.call_soon(self._take_pieces)

    async def receive(self) -> ASGIReceiveEvent:
        message = await super().receive()
        if self._reading:
            self.transport.pause_reading()  # which uvicorn resumed, as no message waits
        return message

    def _take_pieces(self) -> None:
        if self.transport.is_closing():
            return
        self._take_piece()
        if self._unread:
            self.loop.call_soon(self._take_pieces)
            return
        self._reading = False
        if not self.read_paused:
            self.transport.resume_reading()

    def _take_piece(self) -> None:
        piece = bytes(self._unread[:PIECE_BYTES])
        del self._unread[:PIECE_BYTES]
        super().data_received(piece)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_handshake()
        elif self.transport.get_write_buffer_size() > self._table.limits.unsent_bytes:
            self.give_way()  # it sends pings and reads no answer

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= self._table.limits.fragments:
            self.give_way()
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        # from here on it is the application that decides how long it may stay
        self._table.busy(self)
        super().send_receive_event_to_app()

    def keepalive_timeout(self) -> None:
        """No pong in time. It may lie behind audio that is not read yet, so any received byte counts as life."""
        if self.read_paused or self._received_s > self.ping_sent_at:
            self.pong_timer = None
            self.schedule_ping()
            return
        super().keepalive_timeout()
        self.give_way()  # nothing more can be told to it

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall.start(self._table.limits.stall_s, self.give_way)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stall.stop()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        if not self.disconnected:
            self._table.silent(self)
            # a client that neither reads nor closes would keep it open for ever
            self.loop.call_later(self._table.limits.close_s, self.give_way)

    def _refuse_handshake(self) -> None:
        """The websocket library could not read the request, and sends no answer by itself."""
        answer = b"".join(self.conn.data_to_send())
        self.transport.write(answer or b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()


def allow_messages(scope: Mapping[str, Any], most_bytes: int) -> None:
    """Let a websocket that may be accepted send messages of this length. Another kind of server has limits of its
    own."""
    if (extension := scope.get("extensions", {}).get(LONG_MESSAGES)) is not None:
        extension["allow"](most_bytes)


def told(fault: CohearError) -> dict[str, str]:
    """An error as JSON for HTTP."""
    return {"code": fault.code, "message": fault.message, "remedy": fault.remedy}


def retry_after(fault: OverloadError) -> dict[str, str]:
    return {"retry-after": str(max(1, round(fault.retry_after_s)))}
