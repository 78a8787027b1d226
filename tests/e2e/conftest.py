"""The product as a user starts it: `cohear serve` with tiny.en in its own process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

COHEAR = str(Path(sys.executable).parent / "cohear")


@pytest.fixture(scope="session")
def server_url(tiny_en_dir: Path) -> Iterator[str]:
    command = [
        COHEAR,
        "serve",
        "--port",
        "0",
        "--model",
        str(tiny_en_dir),
        "--no-admission",
    ]  # a busy machine would refuse some
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        banner = server.stdout.readline()
        found = re.search(r"ws://[\d.:]+", banner)
        assert found, f"no banner but {banner!r}"
        yield found[0]
        server.terminate()
        assert server.wait(timeout=60) == 0, "a signal ends it in order"
