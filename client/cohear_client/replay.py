"""What may have to be sent again after a lost connection: audio that is not settled, and requests at their positions.

Positions are the client's samples since the stream began, over all its sessions. It knows no sockets: `link` sends what
`take` gives, and `timeline` knows what is settled.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TypeAlias

from msgspec.structs import asdict, replace

from .errors import ClientError
from .pcm import frame_bytes
from .protocol import Configure, Finalize, Start, Stop

Request: TypeAlias = Configure | Finalize | Stop

KEEP_S = 60.0
"""Most audio that is kept. A sender of more waits until the oldest is settled."""

PIECE_S = 1.0
"""Longest frame of audio that is sent."""

MAX_REQUESTS = 1_000
"""Most requests that wait to be answered or settled. One more is refused."""


class Replay:
    """Audio of samples [`start`, `end`); those before `sent` were sent over the present connection."""

    def __init__(self, start: Start, keep_s: float = KEEP_S) -> None:
        self.options = start
        """the options of a session that begins at `start`"""
        self.start = self.sent = self.end = 0
        self._frame_bytes = frame_bytes(start)
        self._keep = int(keep_s * start.sample_rate)
        self._piece = int(PIECE_S * start.sample_rate)
        self._audio = bytearray()
        self._requests: list[tuple[int, Request]] = []  # with their places, in order
        self._told = 0  # so many of them went out over the present connection

    @property
    def stopped(self) -> bool:
        """Whether `stop` was requested."""
        return bool(self._requests) and isinstance(self._requests[-1][1], Stop)

    def fits(self, audio: bytes) -> bool:
        """Whether there is room for this audio now."""
        return self.end - self.start + len(audio) // self._frame_bytes <= self._keep

    def append(self, audio: bytes) -> None:
        """Add whole samples of every channel, which must fit."""
        self._audio += audio
        self.end += len(audio) // self._frame_bytes

    def ask(self, request: Request) -> None:
        """Add a request after the audio so far. Raises ClientError (`too_many_requests`)."""
        if len(self._requests) >= MAX_REQUESTS:
            text = f"{MAX_REQUESTS} requests wait for the server"
            raise ClientError("too_many_requests", text, "wait for `finalized` before the next one")
        self._requests.append((self.end, request))

    def awaits(self, mark: str) -> bool:
        """Whether a `finalize` with this mark is not answered yet."""
        return any(_asks(request, mark) for _, request in self._requests)

    def answered(self, mark: str) -> bool:
        """Take in the answer to a `finalize`; False if it was answered before, or never requested."""
        for index, (_, request) in enumerate(self._requests):
            if _asks(request, mark):
                self._forget(index)
                return True
        return False

    def take(self, max_bytes: int) -> bytes | Request | None:
        """What to send next, audio in frames of at most `max_bytes`; None when everything was sent."""
        here = self._requests[self._told] if self._told < len(self._requests) else None
        if here is not None and here[0] <= self.sent:
            self._told += 1
            return here[1]
        until = min(self.end if here is None else here[0], self.sent + min(self._piece, max_bytes // self._frame_bytes))
        first, last = ((place - self.start) * self._frame_bytes for place in (self.sent, until))
        self.sent = until
        return bytes(self._audio[first:last]) or None

    def settle(self, sample: int) -> None:
        """Audio before `sample` is settled: no session needs it again."""
        settled = max(self.start, min(sample, self.sent))
        del self._audio[: (settled - self.start) * self._frame_bytes]
        self.start = settled
        passed = bisect_left(self._requests, settled, key=_place)
        for entry in self._requests[:passed]:
            if isinstance(entry[1], Configure):
                self.options = configured(self.options, entry[1])
                self._forget(self._requests.index(entry))

    def resume(self, heard: int) -> None:
        """A new connection to the session, which has the audio before `heard` and the requests in it."""
        self.sent = heard
        self._told = bisect_left(self._requests, heard, key=_place)

    def renew(self) -> None:
        """A new session: it needs everything that is kept."""
        self.sent, self._told = self.start, 0

    def _forget(self, index: int) -> None:
        del self._requests[index]
        self._told -= index < self._told


def configured(start: Start, changes: Configure) -> Start:
    """The options after `changes`."""
    made = {name: value for name, value in asdict(changes).items() if value is not None}
    return replace(start, **made)


def _asks(request: Request, mark: str) -> bool:
    return isinstance(request, Finalize) and request.id == mark


def _place(entry: tuple[int, Request]) -> int:
    return entry[0]
