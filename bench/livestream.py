"""One live stream at the speed of speech over a bare websocket, so cheap that one process can run a hundred.

Frames go out when they are due, whatever the server does (open loop): they are written to the transport, whose buffer
has no limit. Events are kept as text with their time of arrival, and are parsed when the run is over.
"""

from __future__ import annotations

import asyncio
import random
import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from cohear_client import protocol
from cohear_client.connection import endpoint
from cohear_client.errors import CohearError
from speech import SAMPLE_RATE_HZ
from voice import Voice
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

OPEN_TIMEOUT_S = 20.0
_BINARY, _MASKED, _LENGTH_16, _LENGTH_64 = 0x82, 0x80, 126, 127


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """When one stream speaks, by the monotonic clock that all processes share, and how its frames travel."""

    seed: int
    start_at_s: float
    end_at_s: float
    frame_ms: int
    network_jitter_ms: float
    """each frame is delayed by 0 to this, in order"""
    drain_s: float
    """how long `done` may take after `stop`"""


@dataclass(slots=True)
class StreamLog:
    """What happened on one stream."""

    outcome: str = "done"
    """done; refused: CODE; lost: why; late: no `done` in time"""
    origin_s: float = 0.0
    """when its first sample was spoken, monotonic"""
    sent_s: float = 0.0
    """audio sent"""
    frames: list[tuple[float, str]] = field(default_factory=list)
    """arrival (seconds of the stream) and text of each event"""
    late_ms: array[float] = field(default_factory=lambda: array("d"))
    """how late each frame was sent: the generator's own fault"""
    unsent_bytes: int = 0
    """most bytes that ever waited for the socket: the server did not read"""

    def events(self) -> list[tuple[float, protocol.ServerMessage]]:
        return [(at_s, protocol.decode_server(text)) for at_s, text in self.frames]


async def run_stream(url: str, start: protocol.Start, plan: StreamPlan, voice: Voice) -> StreamLog:
    """Speak from the plan's start to its end, and listen until `done`."""
    log = StreamLog()
    loop = asyncio.get_running_loop()
    await asyncio.sleep(plan.start_at_s - loop.time())
    try:
        async with connect(
            endpoint(url),
            subprotocols=[Subprotocol(protocol.SUBPROTOCOL)],
            compression=None,
            proxy=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=1.0,
            ping_interval=None,  # a ping would wait behind unsent audio and end the stream
        ) as socket:
            await _converse(socket, start, plan, voice, log)
    except (OSError, TimeoutError, WebSocketException, CohearError) as fault:
        log.outcome = f"lost: {type(fault).__name__}"
    return log


async def _converse(
    socket: ClientConnection, start: protocol.Start, plan: StreamPlan, voice: Voice, log: StreamLog
) -> None:
    await socket.send(protocol.encode(start))
    async with asyncio.timeout(OPEN_TIMEOUT_S):
        answer = protocol.decode_server(str(await socket.recv()))
    if isinstance(answer, protocol.Error):
        log.outcome = f"refused: {answer.code}"
        return
    loop = asyncio.get_running_loop()
    log.origin_s = loop.time()
    sender = Sender(socket.transport, plan, voice, log)
    sender.begin()
    try:
        async with asyncio.timeout_at(plan.end_at_s + plan.drain_s):
            async for text in socket:
                log.frames.append((loop.time() - log.origin_s, str(text)))
                if str(text).startswith('{"type":"done"'):
                    return
        log.outcome = f"lost: closed {socket.close_code}"
    except TimeoutError:
        log.outcome = "late"
    finally:
        sender.cancel()


@dataclass(frozen=True, slots=True)
class Framing:
    """How audio and its end are put on the transport."""

    frame: Callable[[bytes], bytes]
    """from PCM16 at 16 kHz"""
    end: bytes
    """empty: nothing is sent at the end"""


class Sender:
    """Writes frames when they are due, by timers: without a task, and with one copy of each frame."""

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        plan: StreamPlan,
        voice: Voice,
        log: StreamLog,
        framing: Framing | None = None,
    ) -> None:
        self._transport = transport
        self._framing = framing or Framing(binary_frame, text_frame(protocol.encode(protocol.Stop())))
        self._plan = plan
        self._voice = voice
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._random = random.Random(plan.seed)
        self._samples = plan.frame_ms * SAMPLE_RATE_HZ // 1000
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self._plan_next()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _plan_next(self) -> None:
        spoken_s = self._log.origin_s + self._log.sent_s + self._plan.frame_ms / 1000
        delay_s = self._random.uniform(0, self._plan.network_jitter_ms / 1000)
        self._due_s = max(self._due_s, spoken_s + delay_s)
        self._timer = self._loop.call_at(self._due_s, self._send)

    def _send(self) -> None:
        if self._transport.is_closing():
            return
        self._log.late_ms.append(1000 * (self._loop.time() - self._due_s))
        self._transport.write(self._framing.frame(self._voice.read(self._samples)))
        self._log.sent_s += self._plan.frame_ms / 1000
        self._log.unsent_bytes = max(self._log.unsent_bytes, self._transport.get_write_buffer_size())
        if self._log.origin_s + self._log.sent_s < self._plan.end_at_s:
            self._plan_next()
        else:
            self._transport.write(self._framing.end)


def binary_frame(payload: bytes) -> bytes:
    """A client's websocket frame (RFC 6455). Its mask is zero: it hides nothing and costs nothing."""
    return _frame(_BINARY, payload)


def text_frame(text: str) -> bytes:
    return _frame(_BINARY - 1, text.encode())


def _frame(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < _LENGTH_16:
        header = struct.pack("!BB", opcode, _MASKED | length)
    elif length < 1 << 16:
        header = struct.pack("!BBH", opcode, _MASKED | _LENGTH_16, length)
    else:
        header = struct.pack("!BBQ", opcode, _MASKED | _LENGTH_64, length)
    return header + bytes(4) + payload
