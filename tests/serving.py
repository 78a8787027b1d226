"""A real server on a real socket inside a test, around any backend."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np
import uvicorn
from cohear_client import protocol
from cohear_server.app import addresses, create_app, make_server
from cohear_server.config import ServerConfig
from cohear_server.engine.backend import DecodeBackend
from cohear_server.live.service import Service
from cohear_server.wire.open_sockets import OpenSockets, SocketLimits
from cohear_server.wire.sockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect


@dataclass(frozen=True, slots=True)
class Running:
    service: Service
    address: str
    server: uvicorn.Server

    @property
    def url(self) -> str:
        return f"ws://{self.address}"

    @property
    def connections(self) -> int:
        """Open ones, of all kinds."""
        assert isinstance(self.server.server_state, OpenSockets)
        return len(self.server.server_state)

    @property
    def websockets(self) -> list[WebSocket]:
        return [known for known in self.server.server_state.connections if isinstance(known, WebSocket)]

    @contextlib.asynccontextmanager
    async def socket(self) -> AsyncIterator[ClientConnection]:
        """A bare websocket, for saying things that the client library would not."""
        url = self.url + protocol.PATH
        kind = protocol.SUBPROTOCOL
        async with connect(url, proxy=None, compression=None, subprotocols=[kind], max_size=None) as ws:  # type: ignore[list-item]
            yield ws


@contextlib.asynccontextmanager
async def serving(
    backend: DecodeBackend, limits: SocketLimits | None = None, /, **settings: object
) -> AsyncIterator[Running]:
    """Up and ready on a free port until left. It admits whoever fits: a busy machine would refuse some."""
    config = ServerConfig(port=0, vad="energy", **{"admission": False} | settings)  # type: ignore[arg-type]
    service = Service(config, backend)
    server = make_server(create_app(service), config)
    if limits is not None:
        server.server_state = OpenSockets(limits)
    up = asyncio.Event()
    startup = server.startup

    async def signalling(sockets: list[socket.socket] | None = None) -> None:
        await startup(sockets)
        up.set()

    server.startup = signalling  # type: ignore[method-assign]
    async with service.running(), asyncio.TaskGroup() as group:
        task = group.create_task(server.serve())
        await up.wait()
        for listener in server.servers:
            for listening in listener.sockets:
                # small, and inherited by each connection: a client that does not read is felt soon
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        try:
            yield Running(service, addresses(server, config)[0], server)
        finally:
            server.should_exit = True
            await task


def burst(seconds: float) -> bytes:
    """Noise that the energy detector takes for speech."""
    return np.random.default_rng(3).normal(0, 4_000, int(16_000 * seconds)).clip(-32768, 32767).astype("<i2").tobytes()


def quiet(seconds: float) -> bytes:
    return bytes(int(16_000 * seconds) * 2)


async def heard_until(ws: ClientConnection, kind: type[protocol.ServerMessage]) -> list[protocol.ServerMessage]:
    """Messages up to the first of this kind."""
    got: list[protocol.ServerMessage] = []
    while not got or not isinstance(got[-1], kind):
        got.append(protocol.decode_server(str(await ws.recv())))
    return got
