"""The private pieces of uvicorn and websockets that `wire.sockets` builds on are where it looks for them."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cohear_server.wire.open_sockets import OpenSockets
from cohear_server.wire.sockets import HttpSocket, WebSocket
from cohear_testing.fake import FakeBackend
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.server import ServerProtocol

from ..serving import serving

EXTENDED = {
    H11Protocol: (
        "connection_made",
        "connection_lost",
        "data_received",
        "on_response_complete",
        "pause_writing",
        "resume_writing",
        "handle_websocket_upgrade",
    ),
    WebSocketsSansIOProtocol: (
        "connection_made",
        "connection_lost",
        "data_received",
        "receive",
        "handle_cont",
        "send_receive_event_to_app",
        "keepalive_timeout",
        "schedule_ping",
        "pause_writing",
        "resume_writing",
        "on_task_complete",
    ),
    ServerProtocol: ("recv_frame", "data_to_send"),
    uvicorn.Server: ("capture_signals", "startup"),
}
"""methods that ours stand before, or call"""

USED: dict[type, tuple[str, ...]] = {
    HttpSocket: ("client", "conn", "cycle", "headers", "transport", "server_state"),
    WebSocket: (
        "conn",
        "disconnected",
        "frames",
        "handshake_initiated",
        "loop",
        "ping_sent_at",
        "pong_timer",
        "read_paused",
        "transport",
    ),
}
"""attributes of theirs that ours read"""


@pytest.mark.parametrize(("base", "method"), [(base, name) for base, names in EXTENDED.items() for name in names])
def test_what_is_extended_is_there(base: type, method: str) -> None:
    assert callable(getattr(base, method, None))


@pytest.mark.parametrize("kind", [HttpSocket, WebSocket])
async def test_what_is_read_is_there(kind: Any) -> None:
    async with serving(FakeBackend()) as running:
        assert isinstance(running.server.server_state, OpenSockets)
        made = kind(running.server.config, running.server.server_state, {})
    assert [name for name in USED[kind] if not hasattr(made, name)] == []
    assert {"handshake_exc", "max_message_size"} <= vars(ServerProtocol(max_size=1)).keys()


def test_the_version_is_the_pinned_one() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (pin,) = [line for line in project["optional-dependencies"]["server"] if line.startswith("uvicorn")]
    assert metadata.version("uvicorn").startswith(pin.removeprefix("uvicorn==").removesuffix("*"))
