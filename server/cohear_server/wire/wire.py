"""What a protocol is, to the connection under it: messages in, commands out; events in, messages out. No sockets.

A new protocol is one class of this shape; `native` is the first. All that concerns a connection's life is in
`connection`: reading and writing, back-pressure, silence, loss and return, the close.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ..core.commands import Claim, Command, Start
from ..errors import ClientError, CohearError, OverloadError
from ..live.outbox import Outgoing

Said = str | bytes
"""one message of a connection: text or bytes"""

# Close codes of websockets (RFC 6455 section 7.4; 1013 is IANA's).
CLOSE_NORMAL, CLOSE_CLIENT_FAULT, CLOSE_SERVER_FAULT, CLOSE_TRY_LATER = 1000, 1008, 1011, 1013


@dataclass(frozen=True, slots=True)
class Opening:
    """What a client wants when it comes: a new stream, or with `claim` the one that it lost."""

    start: Start
    claim: Claim | None = None


class Wire(Protocol):
    """One object a connection, so it may remember what was said. A method that raises ClientError refuses a message."""

    resumable: bool
    """whether a client that lost its connection can ask for its stream again"""

    def opening(self) -> Opening | None:
        """What the request alone asks for; None where messages tell."""
        ...

    def open(self, said: Said) -> Opening | None:
        """What the messages before the stream ask for; None: not all is said yet. ClientError ends the connection."""
        ...

    def hear(self, said: Said) -> Iterable[Command]:
        """What a message on the open stream asks for. ClientError is told, and the stream goes on."""
        ...

    def tell(self, outgoing: Outgoing) -> Iterable[Said]:
        """The messages of an event; none where the protocol has no word for it. `Failed` may come before a stream."""
        ...

    def close_code(self, fault: CohearError | None) -> int:
        """Of the connection, when all is told; `fault` is what ended the stream."""
        ...


def usual_close_code(fault: CohearError | None) -> int:
    """By whose fault it was."""
    match fault:
        case None:
            return CLOSE_NORMAL
        case OverloadError():
            return CLOSE_TRY_LATER
        case ClientError():
            return CLOSE_CLIENT_FAULT
        case _:
            return CLOSE_SERVER_FAULT
