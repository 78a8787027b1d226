"""The server as a process: there before its model is, and over when it was told to stop, whatever hangs in it."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cohear_client.protocol import PATH, Error, Start, decode_server, encode
from websockets.sync.client import connect

PATIENCE_S = 90.0


@dataclass(frozen=True, slots=True)
class Process:
    popen: subprocess.Popen[str]
    port: int

    def get(self, path: str) -> tuple[int, str]:
        """Its answer, or 0 while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, json.load(answer)["status"]
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)["status"]
        except OSError:
            return 0, ""

    def until(self, path: str, answer: tuple[int, str]) -> None:
        end_s = time.monotonic() + PATIENCE_S
        got = None
        while got != answer:
            assert self.popen.poll() is None, self.popen.communicate()
            assert time.monotonic() < end_s, got
            got = self.get(path)

    def signalled(self, *signals: signal.Signals) -> tuple[int, float, str]:
        """Its exit status, how long that took, and what it said."""
        begun_s = time.monotonic()
        for number in signals:
            self.popen.send_signal(number)
            time.sleep(0.3)  # else the system makes one of two
        out, _ = self.popen.communicate(timeout=PATIENCE_S)
        return self.popen.returncode, time.monotonic() - begun_s, out


@contextlib.contextmanager
def serving(make_backend: str, settings: str = "") -> Iterator[Process]:
    """`serve` with a backend that is made by these lines."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    code = f"""
import sys, threading, time
from cohear_server import app
from cohear_server.config import ServerConfig
from cohear_testing.fake import FakeBackend

class Hanging(FakeBackend):
    '''Its thread never comes back, and Python would wait for it.'''
    async def aclose(self):
        import asyncio
        await asyncio.to_thread(threading.Event().wait)

class Slow(FakeBackend):
    '''It would take an hour for what clients say.'''
    async def decode(self, batch):
        import asyncio
        if batch[0].session_id:
            await asyncio.sleep(3600)
        return await super().decode(batch)

class Loading(FakeBackend):
    async def start(self):
        import asyncio
        await asyncio.sleep(3600)

def make_backend(config):
{textwrap.indent(textwrap.dedent(make_backend), "    ")}
app.DRAIN_S, app.GRACE_S, app.HURRIED_S = 2.0, 1, 1.0
app.make_backend = make_backend
sys.exit(app.serve(ServerConfig(port={port}, vad="energy", {settings})))
"""
    popen = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield Process(popen, port)
    finally:
        popen.kill()
        popen.communicate()


def test_it_answers_while_its_model_is_looked_for_and_stops_at_once() -> None:
    with serving("time.sleep(3600)") as process:
        process.until("/healthz", (200, "alive"))
        assert process.get("/readyz") == (503, "loading the model")
        assert process.get("/v1/info") == (503, "loading the model")
        with connect(f"ws://127.0.0.1:{process.port}{PATH}", proxy=None) as socket_:
            error = decode_server(str(socket_.recv()))
        assert isinstance(error, Error)
        assert (error.code, error.retry_after_s) == ("warming_up", 1.0)
        status, took_s, _ = process.signalled(signal.SIGINT)
    assert status == 0
    assert took_s < 5.0


def test_it_is_ready_when_the_model_is_found() -> None:
    with serving("time.sleep(0.5)\nreturn FakeBackend()") as process:
        process.until("/readyz", (200, "ready"))
        status, took_s, out = process.signalled(signal.SIGTERM)
    assert status == 0
    assert took_s < 5.0
    assert "Cohear is ready" in out


def test_it_stops_while_its_model_is_loaded() -> None:
    with serving("return Loading()") as process:
        process.until("/readyz", (503, "warming up"))
        status, took_s, _ = process.signalled(signal.SIGTERM)
    assert status == 0
    assert took_s < 5.0


def test_a_model_that_cannot_be_had_ends_it_with_one_line() -> None:
    fault = """
        from cohear_server.errors import ClientError
        raise ClientError("bad_model", "no such model", "name another")
    """
    with serving(fault) as process:
        out, _ = process.popen.communicate(timeout=PATIENCE_S)
    assert process.popen.returncode == 1
    assert out.splitlines()[-1] == "cohear: no such model: name another"


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM], [signal.SIGINT] * 3])
def test_an_engine_that_hangs_does_not_keep_it(signals: list[signal.Signals]) -> None:
    with serving("return Hanging()") as process:
        process.until("/readyz", (200, "ready"))
        status, took_s, out = process.signalled(*signals)
    assert status == 1
    assert took_s < 10.0
    assert "ended as it is" in out


def test_files_that_are_sent_fast_hear_their_end_at_a_signal() -> None:
    with serving("return Slow()", "admission=False") as process:
        process.until("/readyz", (200, "ready"))
        with contextlib.ExitStack() as stack:
            url = f"ws://127.0.0.1:{process.port}{PATH}"
            sockets = [stack.enter_context(connect(url, proxy=None)) for _ in range(5)]
            for one in sockets:
                one.send(encode(Start()))
                for _ in range(8):
                    one.send((bytes([0, 32, 0, 224]) * 4_000 + bytes(16_000)) * 4)
            process.popen.send_signal(signal.SIGTERM)
            for one in sockets:
                kinds = [type(decode_server(str(said))).__name__ for said in one]
                assert "Closing" in kinds
                assert kinds[-1] == "Done"


def test_a_damaged_file_of_keys_is_told_before_anything_listens() -> None:
    with serving("time.sleep(3600)", "keys='/nowhere/keys.toml'") as process:
        out, _ = process.popen.communicate(timeout=PATIENCE_S)
    assert process.popen.returncode == 1
    assert "there is no such file" in out
