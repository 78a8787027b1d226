"""A server that still looks for its model: it is alive, and tells each protocol in its own form when to come back."""

from __future__ import annotations

import json

import pytest
from cohear_server.config import ServerConfig
from cohear_server.wire.starting import starting_app
from starlette.testclient import TestClient, WebSocketDenialResponse


@pytest.mark.parametrize("path", ["/v1/realtime?model=whisper-1", "/v1/listen", "/v1/nothing"])
def test_a_websocket_of_another_protocol_is_refused_before_it_opens(path: str) -> None:
    client = TestClient(starting_app(ServerConfig(host="testserver")))
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(path):
        pass
    assert refused.value.status_code == 503
    assert refused.value.headers["retry-after"] == "1"
    assert "the model is not loaded yet" in refused.value.text


def test_openai_s_clients_read_their_error() -> None:
    client = TestClient(starting_app(ServerConfig(host="testserver")))
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/v1/realtime"):
        pass
    assert json.loads(refused.value.text)["error"]["code"] == "warming_up"
