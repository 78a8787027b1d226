"""Starts the service, streams one sample through it and, with `--stay`, keeps serving.

It uses only what a user could type: `cohear serve`, `cohear stream`, and a request to `/readyz`. The milliseconds are
the service's own: from the last audio that an event needed until the event.
"""

from __future__ import annotations

import argparse
import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from cohear_client.hints import as_here
from cohear_client.protocol import Final, Partial, ServerMessage, decode_server
from cohear_server.ops.listening import holder

ROOT = Path(__file__).resolve().parent.parent
COHEAR = Path(sys.executable).parent / "cohear"
SAMPLE = Path("audio_samples") / "jfk.flac"
HOST, PORT = "127.0.0.1", 8765
READY_DEADLINE_S = 60.0
"""loading takes about a second; a slow disk and the first join of `base` take more"""
STOP_DEADLINE_S = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--stay", action="store_true", help="keep serving afterwards, on port 8765, until Ctrl-C")
    parser.add_argument("--model", default="tiny.en", help="model to serve (default: %(default)s)")
    args = parser.parse_args()
    port = PORT if args.stay else free_port()
    if args.stay and is_taken(port):
        port = free_port()
        print(f"demo: port {PORT} is taken by {holder(PORT)}; this one listens on port {port}", file=sys.stderr)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        with serving(port, args.model) as server:
            return use(server, port, stay=args.stay)
    except KeyboardInterrupt:
        return 0 if args.stay else 130


def use(server: subprocess.Popen[bytes], port: int, *, stay: bool) -> int:
    url = f"ws://{HOST}:{port}"
    if not wait_until_ready(server, port):
        return 1
    print(as_here(f"\n$ cohear stream {SAMPLE} --url {url}"), flush=True)
    status = stream(url)
    if status != 0 or not stay:
        return status
    print(f"\nServing on {url}/v1/stream. Ctrl-C stops it.", flush=True)
    print(f"Open http://{HOST}:{port} in a browser and speak, or in another terminal:", flush=True)
    where = "" if port == PORT else f" --url {url}"
    print(as_here(f"  cohear stream FILE{where}\n  cohear mic{where}"), flush=True)
    return server.wait()


def stream(url: str) -> int:
    """Stream the sample: a terminal shows the changing text, other outputs get one line for each event, with what may
    still change in brackets."""
    command = [str(COHEAR), "stream", str(SAMPLE), "--url", url]
    if sys.stdout.isatty():
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    with subprocess.Popen([*command, "--json"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        for line in client.stdout:
            print(told(decode_server(line)), end="", flush=True)
    return client.returncode


def told(event: ServerMessage) -> str:
    match event:
        case Partial() if event.stable or event.volatile:
            volatile = f"[{event.volatile.strip()}]" if event.volatile.strip() else ""
            return f"  partial {event.timing.total_ms:5.0f} ms  {f'{event.stable} {volatile}'.strip()}\n"
        case Final() if event.text:
            return f"  final   {event.timing.total_ms:5.0f} ms  {event.text}\n"
    return ""


@contextmanager
def serving(port: int, model: str) -> Iterator[subprocess.Popen[bytes]]:
    """The server as a child process that writes to our terminal; it is stopped when the context is left."""
    command = [str(COHEAR), "serve", "--host", HOST, "--port", str(port), "--model", model, "--log-level", "warning"]
    server = subprocess.Popen(command, cwd=ROOT)
    interrupted = False
    try:
        yield server
    except KeyboardInterrupt:
        interrupted = True  # the terminal told the server too
        raise
    finally:
        if not interrupted or server.poll() is None:
            server.terminate()
        try:
            server.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            server.kill()


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> bool:
    deadline_s = time.monotonic() + READY_DEADLINE_S
    while time.monotonic() < deadline_s:
        if is_ready(port):
            return True
        try:
            status = server.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        print(f"demo: the server ended with status {status} before it was ready; its words are above", file=sys.stderr)
        return False
    print(f"demo: the server was not ready within {READY_DEADLINE_S:g} s", file=sys.stderr)
    return False


def is_ready(port: int) -> bool:
    # http.client, as urllib would ask a proxy for our own machine
    connection = http.client.HTTPConnection(HOST, port, timeout=2.0)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:  # it does not listen yet
        return False
    finally:
        connection.close()


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
