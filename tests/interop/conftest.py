"""One server with tiny.en, as a user starts it, for all clients: it asks for keys, and its limits are low."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cohear_server.access.keys import add_key

COHEAR = str(Path(sys.executable).parent / "cohear")
MOST_UPLOADS, MOST_UPLOAD_MB = 8, 2


@dataclass(frozen=True, slots=True)
class Server:
    address: str
    """host:port"""
    key: str

    @property
    def url(self) -> str:
        """What OpenAI's clients call the base URL."""
        return f"http://{self.address}/v1"


@pytest.fixture(scope="session")
def server(tiny_en_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    keys = tmp_path_factory.mktemp("interop") / "keys.toml"
    key = add_key(keys, "interop", ("stream",))
    limits = ["--max-uploads", str(MOST_UPLOADS), "--max-upload-mb", str(MOST_UPLOAD_MB)]
    # a busy machine would refuse some streams
    command = [COHEAR, "serve", "--port", "0", "--model", str(tiny_en_dir), "--no-admission", "--keys", str(keys)]
    with subprocess.Popen([*command, *limits], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        banner = process.stdout.readline()
        found = re.search(r"ws://([\d.:]+)", banner)
        assert found, f"no banner but {banner!r}"
        yield Server(found[1], key)
        process.terminate()
        assert process.wait(timeout=20) == 0, "a signal ends it in order"
