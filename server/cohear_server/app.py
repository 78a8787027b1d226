"""The service on the network: routes, start-up, banner, shutdown. What happens on a connection is `wire`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from cohear_client.hints import as_here
from cohear_client.protocol import MAX_FRAME_BYTES, PATH, SUBPROTOCOL
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket as Socket

from .access.exposure import check_certificate, check_exposure
from .access.gate import Door, Gate, token_route
from .access.keyring import Keyring
from .access.keys import read_keys
from .access.revocations import Revocations
from .access.tokens import Tokens
from .batch.uploads import UploadLimits, Uploads
from .config import ServerConfig, allowed_origins
from .errors import CohearError
from .live.backend import make_backend
from .live.loop_batching import BatchingLoop, batch_loop
from .live.service import Service
from .ops import journal, pages
from .ops.ending import Ending
from .ops.files import raise_file_limit
from .ops.history import History
from .ops.listening import listen, reachable
from .ops.metrics import Metrics
from .ops.status import Status
from .wire.channel import WebSocketChannel, caller_of
from .wire.connection import serve as speak
from .wire.deepgram.routes import routes as deepgram_routes
from .wire.hosts import Hosts
from .wire.native import NativeWire
from .wire.open_sockets import OpenSockets, SocketLimits
from .wire.openai import rest
from .wire.realtime import routes as realtime
from .wire.sockets import HttpSocket, WebSocket
from .wire.starting import Front, starting_app
from .wire.web import origin_allowed, routes

T = TypeVar("T")
logger = logging.getLogger(__name__)

DRAIN_S = 10.0
"""how long open streams may take to hear their last finals when the server shuts down"""

HEADER_LOGGERS = ("uvicorn", "websockets")
"""in debug they write the headers of requests, and keys and tokens with them"""

MAX_MESSAGE_BYTES = 2 * MAX_FRAME_BYTES
"""Websocket messages above this are closed with 1009; those between it and the limit of frames hear an `error`."""

GRACE_S = 5
"""for answers that are under way when the sockets are closed"""

HURRIED_S = 3.0
"""from a second signal to the end of the process, whatever hangs in it"""

HANDSHAKE_S = 10.0

MOST_CONNECTIONS = 10_000
OTHER_FILES = 64
"""open files that are no connections: the model's, the cache's, listening sockets, logs"""

NO_NEWS = frozenset(
    {
        "ASGI callable returned without completing handshake.",
        "Invalid HTTP request received.",
        "Invalid UTF-8 sequence received from client.",
        "Unsupported upgrade request.",
    }
)


def create_app(service: Service) -> Starlette:
    """The ASGI application, which observes `service`; the caller runs it."""
    metrics = Metrics(service)
    history = History(service, metrics)
    service.observer.add(metrics)
    if logging.getLogger(journal.__name__).isEnabledFor(logging.DEBUG):
        service.observer.add(journal.Journal())
    service.companions.append(history.run)
    guard, ways_in, issue = guarded(service)
    uploads = uploads_of(service)

    async def stream(socket: Socket) -> None:
        if not origin_allowed(socket.headers, allowed_origins(service.config)):
            await socket.close()  # before it is accepted: the browser gets a 403
            return
        offered = socket.scope.get("subprotocols", [])
        await socket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        await speak(WebSocketChannel(socket), NativeWire(), service, caller_of(socket))

    return Starlette(
        routes=[
            *_health(service),
            *ways_in,
            WebSocketRoute(PATH, stream),
            *realtime.routes(service, issue),
            *deepgram_routes(service, uploads),
            *pages.routes(metrics, Status(service, metrics, history)),
            *rest.routes(service, uploads),
            *routes(service),
        ],
        middleware=[Middleware(Hosts, config=service.config), *guard],
    )


def _health(service: Service) -> list[Route]:
    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        if service.state != "ready":
            return JSONResponse({"status": service.state}, status_code=503, headers={"retry-after": "1"})
        return JSONResponse({"status": "ready", "model": service.model.name, "streams": len(service.streams)})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def uploads_of(service: Service) -> Uploads:
    """The whole files that it hears beside its streams."""
    config = service.config
    return Uploads(service.dispatcher, UploadLimits(config.max_uploads, config.max_uploads_per_key))


def guarded(service: Service) -> tuple[list[Middleware], list[BaseRoute], realtime.Issue]:
    """The gate, the way to tokens, and what makes them, where the settings name a file of keys. Where they do not
    there is no gate, and anything will do for a token."""
    if not service.config.keys:
        return [], [], lambda headers, life_s: secrets.token_urlsafe(24)
    door = Door(Keyring(Path(service.config.keys)), Tokens())
    service.companions.append(Revocations(service, door.keyring).run)
    return [Middleware(Gate, door=door, service=service)], [token_route(door, service)], door.token


def serve(config: ServerConfig) -> int:
    """Run until a signal; the exit status. Faults of the family end in one line on standard error."""
    logging.basicConfig(level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in HEADER_LOGGERS:
        logging.getLogger(name).setLevel(logging.INFO)
    try:
        check_exposure(config)
        check_certificate(config)
        if config.keys:
            read_keys(Path(config.keys))  # a damaged file is told before anything listens
        with asyncio.Runner(loop_factory=ServerLoop) as runner:
            return runner.run(_run(config))
    except CohearError as fault:
        print(as_here(f"cohear: {fault}"), file=sys.stderr)
        return 1


class ServerLoop(BatchingLoop):
    """Its TLS handshakes have a deadline of ours; uvicorn has no setting for it, and a minute is the usual."""

    async def create_server(self, *args: Any, **options: Any) -> asyncio.AbstractServer:  # type: ignore[override]
        if options.get("ssl"):
            options["ssl_handshake_timeout"] = HANDSHAKE_S
        return await super().create_server(*args, **options)


class _Server(uvicorn.Server):
    """Leaves signals alone: `serve` drains on them first, tests keep theirs."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_server(app: ASGIApp, config: ServerConfig) -> uvicorn.Server:
    """The socket server around an application, not started."""
    server = _Server(
        uvicorn.Config(
            app,
            host=config.host,
            port=config.port,
            http=HttpSocket,
            ws=WebSocket,
            ws_per_message_deflate=False,  # speech hardly shrinks, and it costs as much as taking the frame in
            ws_max_size=MAX_MESSAGE_BYTES,
            lifespan="off",
            log_level="warning",
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=config.ssl_certfile or None,
            ssl_keyfile=config.ssl_keyfile or None,
        )
    )
    server.server_state = OpenSockets(socket_limits(config))
    logging.getLogger("uvicorn.error").addFilter(_is_worth_a_line)
    return server


def socket_limits(config: ServerConfig) -> SocketLimits:
    """As many connections as are asked for, where the files that this process may have open are enough for them."""
    most = config.max_connections or MOST_CONNECTIONS
    files = raise_file_limit(most + OTHER_FILES)
    if files < config.max_streams + OTHER_FILES:
        logger.warning("%d open files are too few for %d streams: see `ulimit -n`", files, config.max_streams)
    return SocketLimits(max(32, min(most, files - OTHER_FILES)), config.max_connections_per_address)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """uvicorn tells of each caller that talks nonsense; and it takes a websocket that is refused with an answer for one
    that was forgotten."""
    return record.msg not in NO_NEWS


async def _run(config: ServerConfig) -> int:
    return await _Process(config).run()


class _Process:
    """The socket server and the service in it, from the start to the last signal."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._front = Front(starting_app(config))
        self._server = make_server(self._front, config)
        self._service: Service | None = None
        self._fault: CohearError | None = None
        self._signalled, self._stopped = asyncio.Event(), asyncio.Event()
        self._ending = Ending()

    async def run(self) -> int:
        """The exit status. Raises the fault that kept the service from running."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        sockets = listen(self._config.host, self._config.port)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._run_service())
            closing = group.create_task(self._shut_down())
            await self._server.serve(sockets)
            closing.cancel()
            self._stopped.set()
            if self._service is None or not self._service.ready:
                running.cancel()  # it still looks for its model, or loads it
        if self._fault:
            raise self._fault
        return 0 if self._server.started else 1

    async def _run_service(self) -> None:
        """Beside the server, so that /healthz answers while the model is fetched and loaded."""
        config = self._config
        try:
            service = Service(config, await in_thread(lambda: make_backend(config)))
            service.companions.append(lambda: batch_loop(lambda: service.demand, service.engine.loop_pause_s))
            self._front.app = create_app(service)
            self._service = service
            async with service.running():
                print(banner(service, *addresses(self._server, config)), flush=True)
                await self._stopped.wait()
        except CohearError as fault:
            self._fault = fault
            self._server.should_exit = True

    async def _shut_down(self) -> None:
        await self._signalled.wait()
        if self._service is not None:
            if self._service.streams:
                count = len(self._service.streams)
                print(f"cohear: ending {count} streams; a second signal stops at once", flush=True)
            await self._service.drain(DRAIN_S)
        self._server.should_exit = True

    def _on_signal(self) -> None:
        again = self._signalled.is_set()
        self._server.should_exit = again
        self._ending.within(HURRIED_S if again else DRAIN_S + GRACE_S + HURRIED_S)
        self._signalled.set()


async def in_thread(work: Callable[[], T]) -> T:
    """`asyncio.to_thread`, for work that neither a cancellation nor the end of the process waits for."""
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as fault:  # noqa: BLE001 whoever waits gets it
            outcome.set_exception(fault)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(outcome)


def banner(service: Service, here: str, *others: str) -> str:
    """What is running, where, and how to use something else."""
    model = service.model
    windows = "short windows" if model.short_windows else "windows padded to 30 s: no profile for this model"
    secure = "s" if service.config.ssl_certfile else ""
    smaller = f"; partials at the limit: {model.smaller.name}" if model.smaller else ""
    keys = f"asked for; those in {service.config.keys} hold" if service.config.keys else "none are asked for"
    lines = [
        f"Cohear is ready on ws{secure}://{here}{PATH}",
        f"  page     http{secure}://{here}, and /dashboard",
        *(f"  others   http{secure}://{other} from other machines" for other in others),
        f"  keys     {keys}",
        f"  model    {model.name} ({model.compute_type} on {model.device}, {windows}){smaller}",
        "  another  --model base | large-v3-turbo | any faster-whisper name | a CTranslate2 folder",
        f"  try      cohear stream FILE --url ws{secure}://{here}",
    ]
    return as_here("\n".join(lines))


def addresses(server: uvicorn.Server, config: ServerConfig) -> list[str]:
    """host:port by which a started server is reached, on this machine first."""
    ports = [s.getsockname()[1] for listener in getattr(server, "servers", []) for s in listener.sockets]
    return [f"{host}:{ports[0] if ports else config.port}" for host in reachable(config.host)]
