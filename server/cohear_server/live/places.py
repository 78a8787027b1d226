"""The places of a server: which streams hold one, how many each caller may hold, and which of them give way to others.
It ends no stream itself; the service does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .caller import Caller, most_from
from .stream import Stream

SPEAKS_WITHIN_S = 1.0
"""a stream that had no audio for so long after its start gives way"""

SILENT_S = 30.0
"""and so does one whose audio ended so long ago, whatever else its client says"""

CALLER_BACKLOG_S, BACKLOG_S = 600.0, 1_800.0
"""Finished speech of the streams of one key or address, and of all, that may wait for its text: some 300 MiB and 1 GiB
with the speech before each window. Beyond it, streams have what they always have (`stream.ALWAYS_S`)."""


@dataclass(frozen=True, slots=True)
class PlaceLimits:
    streams: int = 200
    per_key: int = 0
    """most streams of one key; 0: no limit"""
    per_address: int = 0
    """most streams from one address; 0: see `most_from`"""


class Places:
    def __init__(self, limits: PlaceLimits) -> None:
        self.limits = limits
        self.streams: dict[str, Stream] = {}
        self.vacant = asyncio.Event()
        """set while there are no streams"""
        self.vacant.set()
        self._lost: dict[str, asyncio.TimerHandle] = {}
        """streams without a client, with the timer that ends them; the longest without one is first"""

    def take(self, stream: Stream) -> None:
        self.streams[stream.session.id] = stream
        self.vacant.clear()

    def leave(self, stream: Stream) -> bool:
        """Free the place of a stream. False if it had none."""
        self.regain(stream)
        had = self.streams.pop(stream.session.id, None) is not None
        if not self.streams:
            self.vacant.set()
        return had

    def lose(self, stream: Stream, after_s: float, end: Callable[[Stream], None]) -> None:
        """The client of a stream is gone; `end` is called unless it comes back in time."""
        self.regain(stream)
        self._lost[stream.session.id] = asyncio.get_running_loop().call_later(after_s, end, stream)

    def regain(self, stream: Stream) -> None:
        """The client of a stream is back."""
        timer = self._lost.pop(stream.session.id, None)
        if timer is not None:
            timer.cancel()

    def is_lost(self, stream: Stream) -> bool:
        return stream.session.id in self._lost

    def lost(self) -> list[Stream]:
        """Streams without a client: first those that never had audio, then by the time since they lost it."""
        return sorted((self.streams[session_id] for session_id in self._lost), key=_had_audio)

    def yielding(self) -> list[Stream]:
        """Those that give way to one that wants in, in this order: streams without a client, then such as send no
        audio, first those that never did, then by the length of their silence."""
        silent = [stream for stream in self._held() if not self.is_lost(stream) and _is_silent(stream)]
        return self.lost() + sorted(silent, key=lambda stream: (_had_audio(stream), -stream.silent_s))

    def full(self) -> bool:
        return len(self._held()) >= self.limits.streams

    def crowd(self, caller: Caller) -> list[Stream]:
        """The streams with which the caller's key, or else its address, holds as many places as it may; none while it
        may have one more."""
        limits, (of_key, nearby) = self.limits, _with(caller, self._held())
        if 0 < limits.per_key <= len(of_key):
            return of_key
        return nearby if len(nearby) >= most_from(caller.address, limits.per_address, limits.streams) else []

    def crowded(self, caller: Caller) -> bool:
        """Whether so much speech of this caller, or of all, waits for its text that no stream should have much more."""
        streams = list(self.streams.values())
        own = _with(caller, streams)[0 if caller.key_id else 1]
        return _backlog_s(own) > CALLER_BACKLOG_S or _backlog_s(streams) > BACKLOG_S

    def _held(self) -> list[Stream]:
        """Streams that hold a place: not those that were told to go, and only say their last words."""
        return [stream for stream in self.streams.values() if not stream.expelled]


def _with(caller: Caller, streams: Sequence[Stream]) -> tuple[list[Stream], list[Stream]]:
    """Those of the same key, and those from the same address."""
    of_key = [stream for stream in streams if caller.key_id and stream.caller.key_id == caller.key_id]
    return of_key, [stream for stream in streams if caller.address and stream.caller.address == caller.address]


def _backlog_s(streams: Sequence[Stream]) -> float:
    return sum(stream.session.backlog_s for stream in streams)


def _had_audio(stream: Stream) -> bool:
    return stream.session.samples().received > 0


def _is_silent(stream: Stream) -> bool:
    """Whether nobody seems to speak there, and all that was said is text."""
    limit_s = SILENT_S if _had_audio(stream) else SPEAKS_WITHIN_S
    return stream.silent_s > limit_s and not stream.session.backlog_s and not stream.stopping
