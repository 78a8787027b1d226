"""The interface of a protocol: messages in, commands out; events in, messages out. No sockets.

A new protocol is one class with these methods; `native` is the first. `connection` does all the rest: reading and
writing, back-pressure, silence, loss and resume, the close.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ..core.commands import Claim, Command, Start
from ..core.events import Heard
from ..errors import ClientError, CohearError, OverloadError
from ..live.outbox import Outgoing

Said = str | bytes
"""one message of a connection: text or bytes"""

# Close codes of websockets (RFC 6455 section 7.4; 1013 is IANA's).
CLOSE_NORMAL, CLOSE_CLIENT_FAULT, CLOSE_SERVER_FAULT, CLOSE_TRY_LATER = 1000, 1008, 1011, 1013


@dataclass(frozen=True, slots=True)
class Opening:
    """The request for a stream: a new one, or with `claim` the one that lost its connection."""

    start: Start
    claim: Claim | None = None


class Wire(Protocol):
    """One object for each connection, so it may keep state. Where a method raises ClientError, the message is
    refused."""

    resumable: bool
    """whether a client that lost its connection can ask for its stream again"""

    def opening(self) -> Opening | None:
        """The stream that the HTTP request itself asks for; None if messages do."""
        ...

    def open(self, said: Said) -> Opening | None:
        """The stream that the first messages ask for; None: more must come. ClientError ends the connection."""
        ...

    def hear(self, said: Said) -> Iterable[Command | Heard]:
        """The commands of a message on the open stream, in order; `Heard` comes to `tell` after all that the commands
        before it led to at once. ClientError is sent to the client, and the stream goes on."""
        ...

    def tell(self, outgoing: Outgoing) -> Iterable[Said]:
        """The messages of an event; none if the protocol has none for it. `Failed` may come before a stream."""
        ...

    def close_code(self, fault: CohearError | None) -> int:
        """The close code when everything is sent; `fault` is what ended the stream."""
        ...


def usual_close_code(fault: CohearError | None) -> int:
    """The close code by the kind of the fault."""
    match fault:
        case None:
            return CLOSE_NORMAL
        case OverloadError():
            return CLOSE_TRY_LATER
        case ClientError():
            return CLOSE_CLIENT_FAULT
        case _:
            return CLOSE_SERVER_FAULT
