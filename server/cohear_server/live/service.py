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
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path

from ..access.caller import ANYONE, Caller
from ..config import ServerConfig
from ..core.commands import Claim, Start
from ..core.events import Closing, Failed, Limits, Ready
from ..core.jobs import DecodeOptions
from ..core.options import SessionOptions
from ..core.segment import PartialOptions
from ..core.segmenter import SegmenterOptions
from ..core.session import Session
from ..engine.backend import DecodeBackend, ModelInfo
from ..engine.cached import CachedBackend
from ..errors import ClientError, CohearError, OverloadError
from ..scheduling.dispatcher import DecodedBatch
from ..scheduling.ladder import Rung
from ..scheduling.scheduler import SchedulerOptions
from ..scheduling.shared import SharedEngine
from .observer import UNOBSERVED, Observer
from .stream import Stream

logger = logging.getLogger(__name__)

GOVERN_S = 0.25
"""how often the load is looked at"""

RETRY_AFTER_S = 5.0


class Service:
    """Made by `open`; `ready` once the model is warm."""

    def __init__(
        self, config: ServerConfig, backend: DecodeBackend, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.config = config
        self.clock = clock
        self.ready = False
        self.draining = False
        self.streams: dict[str, Stream] = {}
        self._lost: dict[str, asyncio.TimerHandle] = {}
        """streams without a client, and when they end"""
        self.vacant = asyncio.Event()
        """set while there are no streams"""
        self.vacant.set()
        self.observer: Observer = UNOBSERVED
        """is told what happens; set before the first stream"""
        self.companions: list[Callable[[], Coroutine[None, None, None]]] = []
        """run beside the dispatcher, from `running` until it is left"""
        self._backend = backend
        self.cache = backend.cache if isinstance(backend, CachedBackend) else None
        """what finals are kept in, for its figures"""
        limits = SchedulerOptions(config.max_batch, config.max_batch_s)
        self.engine = SharedEngine(backend, clock, limits, config.partial_interval_ms / 1000, (self._decoded,))
        self.scheduler, self.dispatcher = self.engine.scheduler, self.engine.dispatcher
        segmenter = SegmenterOptions(endpoint_ms=config.endpoint_ms, max_segment_s=config.max_segment_s)
        partials = PartialOptions(interval_ms=config.partial_interval_ms)
        self._options = SessionOptions(segmenter, partials, vad=config.vad)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, config: ServerConfig) -> AsyncIterator[Service]:
        """A service with the model that `config` names, warm when this returns.

        Raises ClientError for a model that cannot be had, BackendUnavailable if it cannot be run."""
        service = cls(config, make_backend(config))
        async with service.running():
            yield service

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Warm up, dispatch, and on leaving finish what is in the engine."""
        try:
            await self._backend.start()
            await self.engine.measure()
            async with asyncio.TaskGroup() as group:
                works = (self.dispatcher.run, self._govern, *self.companions)
                tasks = [group.create_task(work()) for work in works]
                self.ready = True
                try:
                    yield
                finally:
                    self.ready = False
                    for task in tasks:
                        task.cancel()
        finally:
            await self._backend.aclose()

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
        """Share of the engine that the streams ask for."""
        return self.engine.capacity.demand(self.clock())

    @property
    def capacity(self) -> int:
        """How many streams like the present ones keep the promise, as far as is known; `max_streams` at most."""
        return int(min(self.config.max_streams, self.engine.capacity.fits(self.clock())))

    @property
    def lost_streams(self) -> int:
        """Streams whose connection was lost and which may be resumed; they are among `streams`."""
        return len(self._lost)

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
        """A new stream, already told `ready`. Raises ClientError for what the model cannot do, OverloadError
        when it is not ready or full."""
        if self.draining:
            raise OverloadError("draining", "this server is shutting down", "connect again", retry_after_s=5.0)
        if not self.ready:
            raise OverloadError("warming_up", "the model is not loaded yet", "try again shortly", retry_after_s=1.0)
        self._check_room()
        self.model.check(start)
        english_only = len(self.model.languages) == 1
        options = DecodeOptions(
            model=self.model.name,
            language=start.language or (self.model.languages[0] if english_only else None),
            task=start.task,
            word_times=start.words,
            prompt=start.prompt or "",
        )
        session = Session(secrets.token_hex(8), start.format, options, self._narrowed(start, caller))
        session.economize(self.engine.capacity.economy(self.clock()))
        stream = Stream(session, self.dispatcher, self.clock, self.observer.opened(session), self.engine.capacity)
        stream.caller = caller
        self.streams[session.id] = stream
        self.engine.capacity.opened(session.id, self.clock())
        self.vacant.clear()
        stream.say(self._ready(stream))
        if self.engine.capacity.rung is not Rung.USUAL:
            self._degrade(stream, self.engine.capacity.rung)
        return stream

    def _narrowed(self, start: Start, caller: Caller) -> SessionOptions:
        """The options of all streams, as this client wants them."""
        segmenter = self._options.segmenter.with_endpoint(start.endpoint_ms)
        return replace(self._options, segmenter=segmenter, tenant=caller.tenant, show_partials=start.partials)

    def _check_room(self) -> None:
        """Raises OverloadError when one more stream would break the promise made to those that are here."""
        if not self.dispatcher.health.up:
            down = "this server's engine does not answer"
            raise OverloadError(
                "engine_down", down, "try again later, or on another server", retry_after_s=RETRY_AFTER_S
            )
        if len(self.streams) >= self.config.max_streams:
            full = f"all {self.config.max_streams} streams of this server are taken"
            raise OverloadError(
                "overloaded", full, "try again later, or raise max_streams", retry_after_s=RETRY_AFTER_S
            )
        if self.config.admission and not self.engine.capacity.admits(self.clock()):
            full = f"this server's engine is taken by its {len(self.streams)} streams"
            raise OverloadError(
                "overloaded", full, "try again later, or on another server", retry_after_s=RETRY_AFTER_S
            )

    async def _govern(self) -> None:
        """Take the ladder's steps, and tell every stream of each, and how far to trade accuracy for less work."""
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
        """A stream whose connection was lost, told `ready` again. Raises ClientError(`unknown_session`)."""
        stream = self.streams.get(wanted.session_id)
        known = stream is not None and secrets.compare_digest(stream.token.encode(), wanted.token.encode())
        if stream is None or not known or stream.caller != caller:
            remedy = "start a new session, and send the audio after the last final again"
            raise ClientError("unknown_session", "this server does not hold the session to resume", remedy)
        if start.format != stream.session.format:
            remedy = "resume with the encoding, rate and channels that it began with"
            raise ClientError("bad_field", "field 'resume' names a session of another audio format", remedy)
        if wanted.session_id in self._lost:
            self._lost.pop(wanted.session_id).cancel()
        stream.resume(wanted.last_seq, self._ready(stream))
        return stream

    def detach(self, stream: Stream) -> None:
        """The client is gone without `stop`; it may come back within the resume window."""
        window_s = self.config.resume_window_s
        if window_s == 0 or stream.session.done:
            self.dismiss(stream)
            return
        stream.outbox.close()
        self._lost[stream.session.id] = asyncio.get_running_loop().call_later(window_s, self._expire, stream)

    def expel(self, stream: Stream, fault: CohearError) -> None:
        """End a stream that may not go on: it hears why, its finals, and `done`."""
        if stream.session.id in self._lost:
            self._lost.pop(stream.session.id).cancel()
            self.dismiss(stream)
        elif not stream.expelled:
            stream.expelled = True
            stream.say(Failed(fault))
            stream.stop()

    def dismiss(self, stream: Stream) -> None:
        """The stream is over: its waiting work is given up and its place is free."""
        stream.close()
        del self.streams[stream.session.id]
        self.engine.capacity.closed(stream.session.id)
        if not self.streams:
            self.vacant.set()

    def _decoded(self, batch: DecodedBatch) -> None:
        self.observer.decoded(batch.jobs, batch.results, batch.busy_s)  # whoever it is by then

    def _expire(self, stream: Stream) -> None:
        del self._lost[stream.session.id]
        self.dismiss(stream)

    def _ready(self, stream: Stream) -> Ready:
        session = stream.session
        return Ready(session.id, stream.token, self.model.name, self.limits, session.samples().received)

    async def drain(self, within_s: float) -> None:
        """Take no new streams and end the open ones in order: each hears `closing`, its finals, and `done`.

        Returns when they are gone, or after `within_s`."""
        self.draining = True
        for lost in list(self._lost):
            self._lost.pop(lost).cancel()
            self.dismiss(self.streams[lost])
        for stream in list(self.streams.values()):
            stream.say(Closing("shutdown", reconnect_after_s=1.0))
            stream.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.vacant.wait()


def make_backend(config: ServerConfig) -> DecodeBackend:
    """The local engine with the configured models, remembering if it is told to. Raises ClientError if there is no such
    model, or no cache can be there."""
    from ..engine.cache import open_cache
    from ..engine.local import LocalBackend
    from ..engine.options import EngineOptions
    from ..engine.results import Results, identity_of
    from ..engine.tiers import TieredBackend
    from ..models.catalog import SourceOptions, find_model

    def local(name: str) -> LocalBackend:
        model_dir = Path(config.model_dir) if config.model_dir else None
        model = find_model(name, options=SourceOptions(model_dir, config.offline))
        return LocalBackend(EngineOptions.of(model, config.device, config.compute_type, config.workers, config.threads))

    main = local(config.model)
    backend: DecodeBackend = main
    if config.partial_model:
        smaller = local(config.partial_model)
        if smaller.options.model_name == main.options.model_name:
            same = f"setting 'partial_model' is {config.partial_model!r:.60}, the same model as 'model'"
            raise ClientError("bad_config", same, "name a smaller model, or leave it out")
        backend = TieredBackend(main, smaller)
    if not config.cache:
        return backend
    # only finals are remembered, and those are the main model's
    cache = open_cache(config.cache_dir, config.cache_limit_mb)
    return CachedBackend(backend, Results(cache, identity_of(main.options)))
