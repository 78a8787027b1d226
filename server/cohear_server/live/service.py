"""Everything but sockets: the backend, the dispatcher, and the streams that share them.

    async with Service.open(ServerConfig()) as service:
        stream = service.admit(Start())

`app` puts the network around it; `wire.local` serves callers in the same process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from ..config import ServerConfig
from ..core.commands import Claim, Start
from ..core.events import Closing, Failed, Limits, Ready
from ..core.jobs import DecodeOptions
from ..core.options import SessionOptions
from ..core.segment import PartialOptions
from ..core.segmenter import SegmenterOptions
from ..core.session import Session
from ..core.vad import SileroNetwork, VadName
from ..engine.backend import DecodeBackend, ModelInfo
from ..engine.cached import CachedBackend
from ..errors import ClientError, CohearError, OverloadError
from ..models.silero import load_silero
from ..scheduling.dispatcher import DecodedBatch
from ..scheduling.ladder import Rung
from ..scheduling.scheduler import SchedulerOptions
from ..scheduling.shared import SharedEngine
from .backend import make_backend
from .caller import ANYONE, Caller
from .companions import Companions
from .observers import Observers
from .pace import Turns
from .places import PlaceLimits, Places
from .stream import Stream

logger = logging.getLogger(__name__)

GOVERN_S = 0.25
"""interval of looking at the load"""

RETRY_AFTER_S = 5.0

TICK_S = 0.25

LAST_WORDS_S = 2.0
"""time for clients to read the last events at a shutdown"""

NO_TIME = OverloadError(
    "draining", "this server shut down before the segment was decoded", "send its audio again", retry_after_s=1.0
)


class Service:
    """Made by `open`; `ready` once the model is warm."""

    def __init__(
        self, config: ServerConfig, backend: DecodeBackend, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.config = config
        self.clock = clock
        self.ready = False
        self.draining = False
        self.places = Places(
            PlaceLimits(config.max_streams, config.max_streams_per_key, config.max_streams_per_address)
        )
        self.observer = Observers()
        """are told what happens; added before the first stream"""
        self.companions = Companions()
        """run beside the dispatcher, from `running` until it is left"""
        self._turns = Turns(clock)
        self._backend = backend
        self.cache = backend.cache if isinstance(backend, CachedBackend) else None
        """what finals are kept in, for its figures"""
        limits = SchedulerOptions(config.max_batch, config.max_batch_s)
        self.engine = SharedEngine(backend, clock, limits, config.partial_interval_ms / 1000, (self._decoded,))
        self.scheduler, self.dispatcher = self.engine.scheduler, self.engine.dispatcher
        segmenter = SegmenterOptions(endpoint_ms=config.endpoint_ms, max_segment_s=config.max_segment_s)
        partials = PartialOptions(interval_ms=config.partial_interval_ms)
        self._options = SessionOptions(segmenter, partials, vad=config.vad)
        self._network: SileroNetwork | None = None
        """of the speech detectors, once it is loaded"""

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, config: ServerConfig) -> AsyncIterator[Service]:
        """A service with the model of `config`, warm when this returns.

        Raises ClientError for a model that cannot be had, BackendUnavailable if it cannot be run."""
        service = cls(config, make_backend(config))
        async with service.running():
            yield service

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Warm up and dispatch; on leaving, finish what is in the engine."""
        try:
            await self._backend.start()
            self._network = await load_network(self.config.vad)
            await self.engine.measure()
            async with asyncio.TaskGroup() as group:
                beside = [self.companions.run(work) for work in (self._govern, self._tick, *self.companions)]
                tasks = [group.create_task(work) for work in (self.dispatcher.run(), *beside)]
                self.ready = True
                try:
                    yield
                finally:
                    self.ready = False
                    for task in tasks:
                        task.cancel()
        finally:
            await self._backend.aclose()

    async def _tick(self) -> None:
        """Send a tick to each stream that has a client."""
        while True:
            await asyncio.sleep(TICK_S)
            for stream in list(self.streams.values()):
                if not self.places.is_lost(stream):
                    stream.tick()

    @property
    def state(self) -> str:
        """`ready` when new streams are taken, else why not: `warming up`, `draining`, `engine down`."""
        if self.draining:
            return "draining"
        if not self.ready:
            return "warming up"
        return "ready" if self.dispatcher.health.up else "engine down"

    @property
    def slots(self) -> int:
        """Batches that the engine works on at the same time."""
        return self._backend.slots

    @property
    def demand(self) -> float:
        """Demand of the streams, as a share of the engine."""
        return self.engine.capacity.demand(self.clock())

    @property
    def capacity(self) -> int:
        """How many streams like the present ones keep the promise, as far as is known; `max_streams` at most."""
        return int(min(self.config.max_streams, self.engine.capacity.fits(self.clock())))

    @property
    def streams(self) -> dict[str, Stream]:
        """Session id -> stream."""
        return self.places.streams

    @property
    def vacant(self) -> asyncio.Event:
        """Set while there are no streams."""
        return self.places.vacant

    @property
    def lost_streams(self) -> int:
        """How many of `streams` lost their connection and may be resumed."""
        return len(self.places.lost())

    @property
    def model(self) -> ModelInfo:
        return self._backend.model

    @property
    def limits(self) -> Limits:
        config = self.config
        return Limits(
            max_segment_s=config.max_segment_s,
            idle_timeout_s=config.idle_timeout_s,
            resume_window_s=config.resume_window_s,
        )

    def admit(self, start: Start, caller: Caller = ANYONE) -> Stream:
        """A new stream with `Ready` in its outbox. Raises ClientError for what the model cannot do, OverloadError if
        the server is not ready or full."""
        self.check_open()
        self._check_room(caller)
        self.model.check(start)
        options = DecodeOptions(
            model=self.model.name,
            language=start.language or self.model.only_language,
            task=start.task,
            word_times=start.words,
            prompt=start.prompt or "",
        )
        session = Session(secrets.token_hex(8), start.format, options, self._narrowed(start, caller), self._network)
        session.economize(self.engine.capacity.economy(self.clock()))
        stream = Stream(session, self.dispatcher, self.clock, self.observer.opened(session), self._turns)
        stream.capacity = self.engine.capacity
        stream.caller = caller
        self.places.take(stream)
        self.engine.capacity.opened(session.id, self.clock())
        stream.say(self._ready(stream))
        if self.engine.capacity.rung is not Rung.USUAL:
            self._degrade(stream, self.engine.capacity.rung)
        return stream

    def check_open(self) -> None:
        """Raises OverloadError when nothing is taken: before it is ready, when it shuts down or its engine is down."""
        if self.draining:
            raise OverloadError("draining", "this server is shutting down", "connect again", retry_after_s=5.0)
        if not self.ready:
            raise OverloadError("warming_up", "the model is not loaded yet", "try again shortly", retry_after_s=1.0)
        if not self.dispatcher.health.up:
            down = "this server's engine does not answer"
            remedy = "try again later, or on another server"
            raise OverloadError("engine_down", down, remedy, retry_after_s=RETRY_AFTER_S)

    def check_spare(self) -> None:
        """Raises OverloadError when it is not open, or when streams leave nothing of the engine for files."""
        self.check_open()
        if self.engine.capacity.rung is not Rung.USUAL:
            raise overloaded("the streams of this server take all of its engine")

    def _narrowed(self, start: Start, caller: Caller) -> SessionOptions:
        """The options of all streams, changed by those of this client."""
        segmenter = self._options.segmenter.with_endpoint(start.endpoint_ms)
        return replace(
            self._options,
            segmenter=segmenter,
            tenant=caller.tenant,
            show_partials=start.partials,
            prefer=start.prefer,
        )

    def _check_room(self, caller: Caller) -> None:
        """Raises OverloadError when one more stream would break the promise made to those that are here. A stream
        without a client gives way first."""
        while self.places.full_for(caller):
            own = [stream for stream in self.places.lost() if stream.caller == caller]
            self._give_way(own, "your key or your address holds all the streams that it may")
        while self.places.full():
            self._give_way(self.places.lost(), f"all {self.config.max_streams} streams of this server are taken")
        if self.config.admission and not self.engine.capacity.admits(self.clock()):
            full = f"this server's engine is taken by its {len(self.streams)} streams"
            self._give_way(self.places.lost(), full)
            if not self.engine.capacity.admits(self.clock()):
                raise overloaded(full)

    def _give_way(self, lost: Sequence[Stream], full: str) -> None:
        """End the first of these streams. Raises OverloadError if there is none."""
        if not lost:
            raise overloaded(full)
        logger.info("stream %s, whose client is gone, gives way to another one", lost[0].session.id)
        self.dismiss(lost[0])

    async def _govern(self) -> None:
        """Move on the ladder, and tell each stream its rung and how much accuracy to trade for speed."""
        capacity, rung = self.engine.capacity, Rung.USUAL
        while True:
            await asyncio.sleep(GOVERN_S)
            before, rung = rung, capacity.step(self.clock())
            economy = capacity.economy(self.clock())
            for stream in self.streams.values():
                stream.session.economize(economy)
            if rung is before:
                continue
            logger.warning("partials: %s, at %d streams", rung.name.lower().replace("_", " "), len(self.streams))
            for stream in list(self.streams.values()):
                self._degrade(stream, rung)

    def _degrade(self, stream: Stream, rung: Rung) -> None:
        stream.degrade(rung, self.model.smaller if rung is Rung.SMALLER else None)

    def resume(self, start: Start, wanted: Claim, caller: Caller = ANYONE) -> Stream:
        """The stream that lost its connection, with `Ready` in its outbox. Raises ClientError(`unknown_session`)."""
        stream = self.streams.get(wanted.session_id)
        known = stream is not None and secrets.compare_digest(stream.token.encode(), wanted.token.encode())
        if stream is None or not known or stream.caller != caller or stream.fault:
            remedy = "start a new session, and send the audio after the last final again"
            raise ClientError("unknown_session", "this server does not hold the session to resume", remedy)
        if start.format != stream.session.format:
            remedy = "resume with the encoding, rate and channels that it began with"
            raise ClientError("bad_field", "field 'resume' names a session of another audio format", remedy)
        stream.resume(wanted, self._ready(stream))
        self.places.regain(stream)
        return stream

    def detach(self, stream: Stream) -> None:
        """The client is gone without `stop`. It may come back within the resume window, unless the server shuts
        down."""
        window_s = self.config.resume_window_s
        if window_s == 0 or stream.session.done or self.draining:
            self.dismiss(stream)
            return
        stream.outbox.close()
        self.places.lose(stream, window_s, self.dismiss)

    def expel(self, stream: Stream, fault: CohearError) -> None:
        """End a stream in order: the client gets the fault, its finals, and `done`."""
        if self.places.is_lost(stream):
            self.dismiss(stream)
        elif not stream.expelled:
            stream.expelled = True
            stream.say(Failed(fault))
            stream.stop()

    def dismiss(self, stream: Stream) -> None:
        """The stream is over: cancel its waiting work and free its place. Idempotent."""
        if self.places.leave(stream):
            stream.close()
            self.engine.capacity.closed(stream.session.id)

    def _decoded(self, batch: DecodedBatch) -> None:
        self.observer.decoded(batch.jobs, batch.results, batch.busy_s)  # whoever it is by then

    def _ready(self, stream: Stream) -> Ready:
        session = stream.session
        return Ready(session.id, stream.token, self.model.name, self.limits, session.samples().received)

    async def drain(self, within_s: float) -> None:
        """Take no new streams and end the open ones in order: each gets `closing`, its finals, and `done`. What is not
        decoded after `within_s` is told as lost, and `done` follows."""
        self.draining = True
        for stream in self.places.lost():
            self.dismiss(stream)
        for stream in list(self.streams.values()):
            stream.say(Closing("shutdown", reconnect_after_s=1.0))
            stream.stop()
        if await self._vacant_within(within_s):
            return
        for stream in list(self.streams.values()):
            stream.give_up(NO_TIME)
        await self._vacant_within(LAST_WORDS_S)

    async def _vacant_within(self, limit_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self.vacant.wait()
        return self.vacant.is_set()


async def load_network(vad: VadName) -> SileroNetwork | None:
    """What detectors of this kind need; None if nothing. Raises ServerError(`no_vad`)."""
    return await asyncio.to_thread(load_silero) if vad in ("cascade", "silero") else None


def overloaded(why: str) -> OverloadError:
    remedy = "try again later, or on another server"
    return OverloadError("overloaded", why, remedy, retry_after_s=RETRY_AFTER_S)
