from __future__ import annotations

import http
import socket
from collections.abc import Callable

import pytest
from cohear_client import ClientError, CohearError, OverloadError, ServerError, connect
from cohear_client.connection import endpoint
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://host:8765", "ws://host:8765/v1/stream"),
        ("http://host:8765/", "ws://host:8765/v1/stream"),
        ("https://host", "wss://host/v1/stream"),
        ("wss://host/v1/stream", "wss://host/v1/stream"),
        ("ws://host/proxy/v1/stream?key=1", "ws://host/proxy/v1/stream?key=1"),
        ("http://host/proxy", "ws://host/proxy/v1/stream"),
        ("host:9000", "ws://host:9000/v1/stream"),
        ("ws://[::1]:1", "ws://[::1]:1/v1/stream"),
    ],
)
def test_endpoint_adds_what_is_missing(url: str, expected: str) -> None:
    assert endpoint(url) == expected


@pytest.mark.parametrize("url", ["", "ftp://host", "ws://", "ws://host:99999", "ws://host:x", "ws://[::1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ClientError, match="not the address"):
        endpoint(url)


async def failure(url: str, open_timeout_s: float = 5.0) -> CohearError:
    with pytest.raises(CohearError) as caught:
        async with connect(url, open_timeout_s=open_timeout_s):
            pass
    return caught.value


async def test_nobody_listening_says_how_to_start_a_server() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        fault = await failure(f"ws://127.0.0.1:{unused.getsockname()[1]}")
    assert isinstance(fault, ServerError)
    assert fault.code == "connection_refused"
    assert "cohear serve" in fault.remedy


async def test_a_server_that_never_answers_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fault = await failure(f"ws://127.0.0.1:{silent.getsockname()[1]}", open_timeout_s=0.05)
    assert fault.code == "timeout"


def answers(status: http.HTTPStatus) -> Callable[[ServerConnection, Request], Response]:
    return lambda connection, request: connection.respond(status, "")


async def nothing(socket: ServerConnection) -> None:
    await socket.recv()


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (http.HTTPStatus.NOT_FOUND, ServerError, "not_cohear"),
        (http.HTTPStatus.UNAUTHORIZED, ClientError, "unauthorized"),
        (http.HTTPStatus.TOO_MANY_REQUESTS, OverloadError, "no_room"),
    ],
)
async def test_http_refusals_have_their_meaning(status: http.HTTPStatus, kind: type[CohearError], code: str) -> None:
    async with serve(nothing, "127.0.0.1", 0, process_request=answers(status)) as server:
        fault = await failure(f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
    assert isinstance(fault, kind)
    assert fault.code == code


async def test_a_socket_that_closes_before_ready_is_lost() -> None:
    async with serve(nothing, "127.0.0.1", 0) as server:
        fault = await failure(f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
    assert fault.code == "connection_lost"
