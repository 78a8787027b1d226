"""All cases of `tests/cases` through files, a server and live streams, in one table. Used by `make cases`.

A cell is `ok`, or what was heard instead. Live streams are sent as fast as the server takes them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from demo import COHEAR, HOST, free_port, serving, wait_until_ready  # noqa: E402

from tests.cases.cases import CASES, Case, make_all  # noqa: E402

SHOWN_CHARACTERS = 60


def main() -> int:
    port = free_port()
    url = f"ws://{HOST}:{port}"
    ways = {
        "files": ["transcribe", "--no-cache", "--quiet"],
        "--url": ["transcribe", "--quiet", "--url", url],
        "live": ["stream", "--speed", "0", "--no-partials", "--url", url],
    }
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, serving(port, "tiny.en") as server:
        paths = make_all(Path(folder))
        if not wait_until_ready(server, port):
            return 1
        print("".join(f"{name:<16}" for name in ("case", *ways)))
        for case, path in zip(CASES, paths, strict=True):
            cells = [judged(case, heard([*command, str(path)])) for command in ways.values()]
            wrong += sum(cell != "ok" for cell in cells)
            print(f"{case.name:<16}" + "".join(f"{cell:<16}" for cell in cells), flush=True)
    return 1 if wrong else 0


def heard(arguments: list[str]) -> str:
    done = subprocess.run([str(COHEAR), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout


def judged(case: Case, text: str) -> str:
    line = " ".join(text.split())
    return "ok" if re.search(case.text, line.lower()) else line[:SHOWN_CHARACTERS] or "nothing"


if __name__ == "__main__":
    sys.exit(main())
