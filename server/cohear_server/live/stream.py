"""One live stream: a session joined to the dispatcher, the clock and its outbox. No sockets.

A connection drives it, or a caller in the same process (`wire`). All calls come from one event loop. A stream outlives
its connection: while no client is attached, results still come in, and lasting events are kept for the client that
resumes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..core.commands import Audio, Claim, Command, Resume, Stop, Tick
from ..core.effects import Cancel, Effect, Emit, Submit
from ..core.events import Event, Failed, Final, Lost, Notice, Ready
from ..core.jobs import DecodeResult
from ..core.session import Session
from ..engine.backend import ModelInfo
from ..errors import CohearError, ServerError
from ..scheduling.capacity import Capacity
from ..scheduling.dispatcher import Dispatcher, JobTimes
from ..scheduling.ladder import PARTIAL_SHARE, Rung
from .caller import ANYONE, Caller
from .log import Emitted, EventLog
from .observer import UNOBSERVED, StreamObserver
from .outbox import Outbox
from .pace import Pace, Turns
from .timing import JobTrace
from .underway import Underway

logger = logging.getLogger(__name__)

MAX_BYTES = 48 << 20
"""What one stream may take of memory, whatever its client does. Half of it is windows that wait for the engine, each
with the speech before it: as many as make the session `full`. The rest is the open segment, the log, and the outbox,
which holds most of the log. What lies in the socket is counted there (`wire.sockets`)."""

ALWAYS_S = 5.0
"""so much finished speech of a stream may wait for its text, however much of others does"""

INTERNAL = ServerError("internal", "the server failed on this stream", "connect again")


RUNG_TEXTS = {
    Rung.USUAL: "the server has room again: partials come as usual",
    Rung.SLOWER: "the server is at its limit: partials come half as often; no final is lost",
    Rung.SMALLER: "the server is at its limit: partials come half as often, and from a smaller model "
    "where it knows the language; finals come as usual, none is lost",
    Rung.NO_PARTIALS: "the server is beyond its limit: only finals come; none is lost",
}


@dataclass(frozen=True, slots=True)
class Shared:
    """What the streams of one service share."""

    dispatcher: Dispatcher
    clock: Callable[[], float]
    turns: Turns
    capacity: Capacity | None = None
    """is told of the audio that comes"""
    crowded: Callable[[Caller], bool] = lambda _: False
    """whether so much speech of this caller, or of all, waits for its text that each stream may have only a little"""


class Stream:
    def __init__(
        self, session: Session, shared: Shared, caller: Caller = ANYONE, observer: StreamObserver = UNOBSERVED
    ) -> None:
        self.session = session
        self.caller = caller
        """who owns the stream"""
        self.token = secrets.token_urlsafe(16)
        """proof that a client may resume this stream"""
        self.outbox = Outbox(observer)
        self.expelled = False
        """the server ended the stream and said so; audio that was on its way already is no fault"""
        self.fault: ServerError | None = None
        """a failure of the stream's own code; the stream is then over"""
        self._shared = shared
        self._observer = observer
        self._log = EventLog()
        self._pace = Pace(shared.turns)
        self._underway = Underway(shared.dispatcher, session, self._deliver)
        self._room = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """No more audio is taken."""
        return self.session.stopping

    @property
    def silent_s(self) -> float:
        """How long no audio came, or none since the stream began."""
        return self._pace.silent_s

    def receive(self, data: bytes, arrived_s: float) -> None:
        """Take in audio, at most one slice (`AudioFormat.slices`): more would hold up the other streams.

        Raises ClientError(`bad_audio`) for audio that cannot be used."""
        taken_s = self._shared.clock()
        self._carry_out(self.session.handle(Audio(data), arrived_s), arrived_s, taken_s)
        if self._shared.capacity is not None:
            self._shared.capacity.heard(self.session.id, self.session.format.seconds(data), taken_s)

    async def take(self, data: bytes, arrived_s: float) -> None:
        """Take in audio of any length, slice by slice, with the loop free between slices. The rest is dropped if the
        stream is stopped or resumed elsewhere meanwhile. Raises ClientError(`bad_audio`)."""
        outbox = self.outbox
        for number, piece in enumerate(self.session.format.slices(data)):
            if number:
                await asyncio.sleep(0)
                await self.room()
            async with self._pace.taking(self.session.format.seconds(piece)):
                if self.stopping or self.outbox is not outbox:
                    return
                self.receive(piece, arrived_s)

    def handle(self, command: Command) -> None:
        """Handle a command of the client that is not audio."""
        now_s = self._shared.clock()
        self._carry_out(self.session.handle(command, now_s), now_s, now_s)

    def stop(self) -> None:
        self.handle(Stop())

    def tick(self) -> None:
        with self._contained():
            self.handle(Tick())

    def say(self, event: Event) -> None:
        """Queue an event that is not the session's own."""
        self._put(event, self._shared.clock())

    def degrade(self, rung: Rung, partial_model: ModelInfo | None = None) -> None:
        """The server has moved to this rung: partials come at its pace, from this model if it knows their language and
        task, and the client is told."""
        with self._contained():
            self.session.pace(PARTIAL_SHARE[rung])
        self._underway.partial_model = partial_model
        self.say(Notice("degraded" if rung else "restored", RUNG_TEXTS[rung]))

    def fail(self) -> None:
        """The stream's own code failed, so its state cannot be trusted. Its client is told, and must begin again."""
        if self.fault is not None:
            return
        self.fault = INTERNAL
        self.say(Failed(INTERNAL))
        self.outbox.end()
        self._room.set()

    def give_up(self, fault: CohearError) -> None:
        """All that still waits for the engine is lost; after `stop`, `Done` follows at once."""
        for job_id in self._underway.give_up():
            now_s = self._shared.clock()
            with self._contained():
                self._carry_out(self.session.resolve(DecodeResult(job_id, error=fault), now_s), now_s, now_s)

    def resume(self, claim: Claim, ready: Ready) -> None:
        """Attach another client in place of the one before, which is cut off: `ready`, then the lasting events that
        it missed. Raises ClientError(`unknown_session`) where they are not kept."""
        missed = self._log.missed(claim)
        self.outbox.close()
        self.outbox = Outbox(self._observer, [Emitted(ready, self._shared.clock()), *missed])
        self._observer.resumed()
        self.handle(Resume())
        self._room.set()

    async def room(self) -> None:
        """Wait until the stream may take more audio. Meanwhile the connection does not read, so the client's socket
        fills: a file that is sent too fast waits, and nothing is shed."""
        while self._is_full() and not self.outbox.closed.is_set() and self.fault is None:
            self._room.clear()
            await self._room.wait()

    def _is_full(self) -> bool:
        if self.session.backlog_s <= ALWAYS_S:
            return False
        return self.session.full or self._shared.crowded(self.caller)

    def close(self) -> None:
        """Nobody listens any more: cancel what waits for the engine."""
        self._underway.give_up()
        self.outbox.close()
        self._observer.ended(self.session.samples())
        self._room.set()

    def _carry_out(self, effects: list[Effect], arrived_s: float, taken_s: float) -> None:
        """Carry out effects in their order, see `core.effects`."""
        for effect in effects:
            match effect:
                case Submit(job):
                    self._underway.submit(job, arrived_s, taken_s)
                case Cancel(job_id):
                    self._underway.cancel(job_id)
                case Emit(event, job_id, origin_s):
                    self._put(event, self._shared.clock(), self._underway.trace(job_id), origin_s)
                    if isinstance(event, Final | Lost):
                        # not before, because a speculative final shows as a partial first
                        self._underway.forget(job_id)

    def _put(self, event: Event, now_s: float, trace: JobTrace | None = None, origin_s: float = 0.0) -> None:
        self._observer.emitted(event, now_s, trace, origin_s)
        emitted = Emitted(event, now_s, trace, origin_s)
        self._log.add(emitted)
        self.outbox.put(emitted)

    def _deliver(self, result: DecodeResult, times: JobTimes) -> None:
        passing = self._underway.returned(result, times)
        now_s = self._shared.clock()
        with self._contained():
            self._carry_out(self.session.resolve(result, now_s), now_s, now_s)
        if passing:
            self._underway.forget(result.job_id)
        self._room.set()

    @contextlib.contextmanager
    def _contained(self) -> Iterator[None]:
        """A boundary: work that no connection of this stream called must not harm other streams."""
        try:
            yield
        except Exception:  # a failure of this stream must not reach others
            logger.exception("stream %s failed", self.session.id)
            self.fail()
