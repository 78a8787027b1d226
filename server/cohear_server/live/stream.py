"""One live stream: a session joined to the dispatcher, the clock and its outbox. No sockets.

The gateway drives it from a websocket, `service` from the same process. All calls come from one
event loop, and none of them waits except `room`. A stream outlives its connection: while nobody is
attached, results still come in and what must not be lost is kept for the one who resumes it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from cohear_client import protocol
from cohear_client.pcm import frame_bytes

from ..access.caller import ANYONE, Caller
from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeResult, JobKind
from ..core.output import Output
from ..core.session import Session
from ..engine.backend import ModelInfo
from ..scheduling.dispatcher import Dispatcher, JobTimes
from ..scheduling.load import PARTIAL_SHARE, Rung
from .observer import UNOBSERVED, StreamObserver
from .outbox import Outbox
from .timing import JobTrace

T = TypeVar("T")

LASTING = (protocol.Final, protocol.Refined, protocol.Finalized, protocol.Error, protocol.Done)
"""messages that are sent again after a lost connection; all others are only of the moment"""

LOG_LIMIT = 512
"""lasting messages kept for a client that resumes; older ones it has had for minutes"""

MAX_BACKLOG_S = 45.0
"""Finished speech that may wait for its text (1.4 MB). Beyond it we stop reading, so the client's
socket fills: a file sent too fast waits, and nothing is shed."""


RUNG_TEXTS = {
    Rung.USUAL: "the server has room again: partials come as usual",
    Rung.SLOWER: "the server is at its limit: partials come half as often; no final is lost",
    Rung.SMALLER: "the server is at its limit: partials come half as often, and from a smaller model "
    "where it knows the language; finals come as usual, none is lost",
    Rung.NO_PARTIALS: "the server is beyond its limit: only finals come; none is lost",
}


@dataclass(frozen=True, slots=True)
class _Emitted:
    """A lasting message, as it went to the outbox."""

    message: protocol.ServerMessage
    at_s: float
    trace: JobTrace | None
    origin_s: float


@dataclass(frozen=True, slots=True)
class _Sent:
    """A job in the dispatcher's hands. Not the job: its audio is the dispatcher's."""

    kind: JobKind
    window_s: float
    arrived_s: float
    taken_s: float


class Stream:
    def __init__(
        self,
        session: Session,
        dispatcher: Dispatcher,
        clock: Callable[[], float],
        observer: StreamObserver = UNOBSERVED,
    ) -> None:
        self.session = session
        self.token = secrets.token_urlsafe(16)
        """proof that a client may resume this stream"""
        self.outbox = Outbox(observer)
        self.caller: Caller = ANYONE
        """whose it is; set at admission"""
        self.expelled = False
        """ended by us, and told so: audio that crossed the message is no fault"""
        self._partial_model: ModelInfo | None = None
        """a smaller one, for partials that it can decode; None: all go to the session's own"""
        self._observer = observer
        self._log: deque[_Emitted] = deque(maxlen=LOG_LIMIT)
        self._dispatcher = dispatcher
        self._clock = clock
        self._sent: dict[str, _Sent] = {}
        self._traces: dict[str, JobTrace] = {}
        self._room = asyncio.Event()
        start = session.start
        self._bytes_a_second = frame_bytes(start) * start.sample_rate

    @property
    def stopping(self) -> bool:
        """No more audio is taken."""
        return self.session.stopping

    def receive(self, frame: bytes, arrived_s: float) -> None:
        """Audio. Raises ClientError for a frame that cannot be used."""
        taken_s = self._clock()
        self._apply(self.session.receive(frame, arrived_s), arrived_s, taken_s)
        self._dispatcher.load.heard(self.session.id, len(frame) / self._bytes_a_second, taken_s)

    def configure(self, message: protocol.Configure) -> None:
        self._run(self.session.configure, message)

    def finalize(self, mark: str) -> None:
        self._run(self.session.finalize, mark)

    def stop(self) -> None:
        now_s = self._clock()
        self._apply(self.session.stop(now_s), now_s, now_s)

    def tick(self) -> None:
        now_s = self._clock()
        self._apply(self.session.tick(now_s), now_s, now_s)

    def say(self, message: protocol.ServerMessage) -> None:
        """Queue a message that is not the session's own."""
        self._put(message, self._clock())

    def degrade(self, rung: Rung, partial_model: ModelInfo | None = None) -> None:
        """The server has moved to this rung: partials come at its pace, from this model if it knows their language and
        task, and the client is told."""
        self.session.pace(PARTIAL_SHARE[rung])
        self._partial_model = partial_model
        self.say(protocol.Warning("degraded" if rung else "restored", RUNG_TEXTS[rung]))

    def resume(self, last_seq: int, ready: protocol.Ready) -> None:
        """Attach another client in place of the one before, which is cut off: `ready`, then the lasting messages
        after its last final."""
        self.outbox.close()
        self.outbox = Outbox(self._observer)
        self._observer.resumed()
        self.session.resume(self._clock())
        self.outbox.put(ready, self._clock())
        log = list(self._log)
        had = (i for i, e in enumerate(log) if isinstance(e.message, protocol.Final) and e.message.seq <= last_seq)
        for again in log[max(had, default=-1) + 1 :]:
            self.outbox.put(again.message, again.at_s, again.trace, again.origin_s, again=True)
        self._room.set()

    async def room(self) -> None:
        """Wait until the stream may take more audio."""
        while self.session.backlog_s > MAX_BACKLOG_S and not self.outbox.overflowed:
            self._room.clear()
            await self._room.wait()

    def close(self) -> None:
        """Nobody listens any more: what waits for the engine is given up."""
        for job_id in list(self._sent):
            self._dispatcher.cancel(job_id, self.session.id)
        self._sent.clear()
        self.outbox.close()
        self._observer.ended(self.session.samples())
        self._room.set()

    def _run(self, step: Callable[[T, float], Output], argument: T) -> None:
        now_s = self._clock()
        self._apply(step(argument, now_s), now_s, now_s)

    def _apply(self, output: Output, arrived_s: float, taken_s: float) -> None:
        for job_id in output.cancelled:
            self._dispatcher.cancel(job_id, self.session.id)
            self._sent.pop(job_id, None)
            self._traces.pop(job_id, None)
        for job in map(self._routed, output.jobs):
            self._sent[job.id] = _Sent(job.kind, len(job.pcm) / SAMPLE_RATE_HZ, arrived_s, taken_s)
            replaced = self._dispatcher.submit(job, self._deliver, self.session.begun)
            if replaced is not None:
                self._sent.pop(replaced, None)
        now_s = self._clock()
        for emission in output.emissions:
            trace = self._traces.get(emission.job_id or "")
            self._put(emission.message, now_s, trace, emission.origin_s)
            if isinstance(emission.message, protocol.Final):
                # not before: a speculative decode shows as a partial first
                self._traces.pop(emission.job_id or "", None)

    def _routed(self, job: DecodeJob) -> DecodeJob:
        """The job, named for the model that is to decode it now."""
        model = self._partial_model
        if model is None or job.kind is not JobKind.PARTIAL or not model.knows(job.options):
            return job
        return replace(job, options=replace(job.options, model=model.name))

    def _put(
        self, message: protocol.ServerMessage, now_s: float, trace: JobTrace | None = None, origin_s: float = 0.0
    ) -> None:
        self._observer.emitted(message, now_s, trace, origin_s)
        if isinstance(message, LASTING):
            self._log.append(_Emitted(message, now_s, trace, origin_s))
        if not self.outbox.closed.is_set():
            self.outbox.put(message, now_s, trace, origin_s)

    def _deliver(self, result: DecodeResult, times: JobTimes) -> None:
        sent = self._sent.pop(result.job_id, None)
        if sent is not None:
            self._traces[result.job_id] = JobTrace(
                sent.arrived_s, sent.taken_s, times, result.batch_size, sent.window_s
            )
        now_s = self._clock()
        self._apply(self.session.resolve(result, now_s), now_s, now_s)
        if sent is not None and sent.kind is JobKind.PARTIAL:
            self._traces.pop(result.job_id, None)
        self._room.set()
