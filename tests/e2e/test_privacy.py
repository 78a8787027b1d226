"""Nothing phones home: a server that runs offline looks up no host, connects to none, and writes nothing of its own
accord into the user's folders."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..samples import load_samples
from .conftest import COHEAR

(JFK,) = (sample for sample in load_samples(speech=True) if sample.path.stem == "jfk")
LOOKUP = re.compile(r'resolv\.conf|htons\(53\)|nscd/socket|/etc/hosts"')
REMOTE = re.compile(r'connect\(.*(?:inet_addr\("(?!127\.)|inet_pton\(AF_INET6, "(?!::1"|::ffff:127\.))')
TELEMETRY = re.compile(r"(?i)microsoft|deviceid|telemetry")


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment whose user has empty folders."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_", "HF_", "COHEAR_"))
    }
    return kept | {"HOME": str(tmp_path)}


def can_trace() -> bool:
    strace = shutil.which("strace")
    return (
        strace is not None
        and subprocess.run([strace, "-o", os.devnull, "true"], check=False, capture_output=True).returncode == 0
    )


def test_the_speech_detector_leaves_nothing_behind(home: dict[str, str]) -> None:
    code = "from cohear_server.models.silero import load_silero; load_silero()"
    subprocess.run([sys.executable, "-c", code], env=home, check=True)
    assert not [path for path in Path(home["HOME"]).rglob("*") if path.is_file()]


@pytest.fixture
def traced(tiny_en_dir: Path, home: dict[str, str], tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a traced server, and where its system calls are written."""
    if not can_trace():
        pytest.skip("strace is not here, or may not trace: whether hosts are looked up is not tested")
    log = tmp_path / "calls.txt"
    calls = "trace=connect,sendto,sendmsg,sendmmsg,open,openat"
    command = ["strace", "-f", "-qq", "-e", calls, "-o", str(log), COHEAR, "serve", "--offline", "--port", "0"]
    command += ["--host", "127.0.0.1", "--no-admission", "--model", str(tiny_en_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=home, text=True, start_new_session=True) as server:
        assert server.stdout is not None
        found = re.search(r"ws://[\d.:]+", server.stdout.readline())
        assert found
        yield found[0], log
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


@pytest.mark.model
@pytest.mark.slow
def test_a_server_that_hears_speech_offline_looks_up_no_host(traced: tuple[str, Path], home: dict[str, str]) -> None:
    url, log = traced
    heard = subprocess.run(
        [COHEAR, "stream", str(JFK.path), "--url", url, "--speed", "1"],
        check=True,
        env=home,
        capture_output=True,
        text=True,
    )
    assert "country" in heard.stdout
    lines = log.read_text(errors="replace").splitlines()
    assert any("silero_vad" in line for line in lines), "the trace sees what is opened"
    for kind in (LOOKUP, REMOTE, TELEMETRY):
        assert not [line for line in lines if kind.search(line)]
    assert not [path for path in Path(home["HOME"]).rglob("*") if path.is_file() and path != log]
