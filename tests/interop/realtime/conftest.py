"""A server with a certificate: OpenAI's library for Node speaks to no other."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from ..conftest import COHEAR


@pytest.fixture
def secure_server(tiny_en_dir: Path, tmp_path: Path) -> Iterator[str]:
    """Its address. `authority.pem` in `tmp_path` signed its certificate."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    files = ["--ssl-certfile", str(tmp_path / "cert.pem"), "--ssl-keyfile", str(tmp_path / "key.pem")]
    command = [COHEAR, "serve", "--port", "0", "--model", str(tiny_en_dir), "--no-admission", *files]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        banner = process.stdout.readline()
        found = re.search(r"wss://([\d.:]+)", banner)
        assert found, f"no banner but {banner!r}"
        yield found[1]
        process.terminate()
        assert process.wait(timeout=20) == 0, "a signal ends it in order"
