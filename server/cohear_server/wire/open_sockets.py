"""All open connections of a server: how many there may be, and which one is closed for a new one. It reads none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from uvicorn.server import ServerState

from ..errors import OverloadError
from ..live.caller import most_from


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """All of them hold for a connection that has shown no key."""

    connections: int = 960
    """open at the same time; one more takes the place of the one that has been silent longest"""
    per_address: int = 0
    """of them from one address (IPv6: one /64 network); 0: see `most_from`"""
    spare: int = 16
    """of them that websockets cannot have: health checks are answered on a full server"""
    head_s: float = 10.0
    """time for the head of a request, from the start of the connection or the last answer"""
    stall_s: float = 30.0
    """time in which a client must read something of what was written to it"""
    close_s: float = 10.0
    """time for a websocket to be gone after its close"""
    head_bytes: int = 16 << 10
    line_bytes: int = 8 << 10
    """longest line of a head: what the websocket library takes"""
    headers: int = 100
    first_message_bytes: int = 64 << 10
    """largest first message of a websocket: it describes the stream, and is not audio"""
    fragments: int = 1_024
    """most frames of one websocket message"""
    unsent_bytes: int = 1 << 20
    """most unsent bytes, such as answers to pings, for a client that sends and does not read"""


FULL = OverloadError("too_many_connections", "this server has no connection left", "try again later", retry_after_s=5.0)
CROWDED = OverloadError(
    "too_many_connections", "your address has too many connections open", "close some of them", retry_after_s=5.0
)


class Socket(Protocol):
    address: str
    is_websocket: bool

    def give_way(self) -> None: ...


class OpenSockets(ServerState):
    """All open connections of one server, and those that may be closed for a new one."""

    def __init__(self, limits: SocketLimits) -> None:
        super().__init__()
        self.limits = limits
        self.by_address: Counter[str] = Counter()
        self._open: set[Socket] = set()
        self._silent: dict[Socket, None] = {}
        """connections without a request; the one that has been silent longest is first"""
        self._websockets = 0

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, connection: Socket) -> bool:
        """Count one more. False if there is no place, and no other connection can be closed."""
        if len(self._open) >= self.limits.connections and not self._make_way():
            return False
        self._open.add(connection)
        self.by_address[connection.address] += 1
        self.silent(connection)
        return True

    def replaced(self, old: Socket, new: Socket) -> None:
        """The connection has changed its protocol."""
        self._open.discard(old)
        self._silent.pop(old, None)
        self._open.add(new)
        self.silent(new)
        self._websockets += 1

    def closed(self, connection: Socket) -> None:
        """Idempotent."""
        if connection in self._open:
            self._open.discard(connection)
            self._silent.pop(connection, None)
            self._websockets -= connection.is_websocket
            self.by_address[connection.address] -= 1
            if not self.by_address[connection.address]:
                del self.by_address[connection.address]

    def silent(self, connection: Socket) -> None:
        """From now on this connection may be closed for a new one."""
        if connection in self._open:
            self._silent.setdefault(connection)

    def busy(self, connection: Socket) -> None:
        self._silent.pop(connection, None)

    def check_websocket(self, connection: Socket) -> None:
        """Raises OverloadError if one more websocket would be too many, and no other connection can be closed."""
        address, limits = connection.address, self.limits
        if self.by_address[address] > most_from(address, limits.per_address, limits.connections):
            raise CROWDED
        most = max(1, self.limits.connections - self.limits.spare)
        if self._websockets >= most and not self._make_way(websocket=True):
            raise FULL

    def _make_way(self, *, websocket: bool = False) -> bool:
        """Close the connection, or the websocket, that has been silent longest. False if there is none."""
        silent = (known for known in self._silent if known.is_websocket or not websocket)
        longest = next(silent, None)
        if longest is None:
            return False
        self.closed(longest)
        longest.give_way()
        return True
