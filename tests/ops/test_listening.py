from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from cohear_server.errors import ClientError
from cohear_server.ops.listening import holder, listen, reachable


def test_a_free_port_is_found_and_others_can_connect() -> None:
    (one,) = listen("127.0.0.1", 0)
    with one, socket.create_connection(one.getsockname(), timeout=5):
        assert one.getsockname()[1] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who listens")
def test_a_port_that_is_taken_names_who_has_it_and_what_to_do() -> None:
    (mine,) = listen("127.0.0.1", 0)
    with mine:
        port = mine.getsockname()[1]
        with pytest.raises(ClientError) as refused:
            listen("127.0.0.1", port)
        assert refused.value.code == "port_taken"
        name = Path("/proc/self/comm").read_text().strip()
        assert refused.value.message == f"port {port} of 127.0.0.1 is taken by {name} (process {os.getpid()})"
        assert "--port 0" in refused.value.remedy
    assert holder(port) == "another program"
    for again in listen("127.0.0.1", port):
        again.close()


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host.invalid", "a" * 300])
def test_a_host_that_is_not_of_this_machine_is_refused(host: str) -> None:
    with pytest.raises(ClientError) as refused:
        listen(host, 0)
    assert refused.value.code == "bad_host"


def test_all_addresses_are_told_as_ones_that_can_be_opened() -> None:
    assert reachable("127.0.0.1") == ["127.0.0.1"]
    assert reachable("::1") == ["[::1]"]
    assert reachable("speech.example.org") == ["speech.example.org"]
    for host, own in (("0.0.0.0", "127.0.0.1"), ("::", "[::1]")):
        first, *others = reachable(host)
        assert first == own
        assert all(other not in (own, host, f"[{host}]") for other in others)
