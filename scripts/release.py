"""Builds what is released and tries it: the source distribution, the wheel out of it, tests of an installed copy.

The copy is the unpacked wheel, first on the path, with the packages of this environment and without the checkout.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("tests/client", "tests/core", "tests/cli")
COPY = """
import runpy, sys
root, copy, module, *arguments = sys.argv[1:]
here = [f"{root}/{part}" for part in ("client", "server", "testing")]
sys.path[:] = [copy, *(path for path in sys.path if path and path not in (root, *here)), here[2]]
import cohear_cli, cohear_client, cohear_server
assert all(part.__file__.startswith(copy) for part in (cohear_cli, cohear_client, cohear_server))
sys.argv = [module, *arguments]
runpy.run_module(module, run_name="__main__") if module != "cohear" else sys.exit(cohear_cli.main())
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where to write (default: dist)")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="tests of the copy (default: %(default)s)")
    args = parser.parse_args()
    wheel = build(args.out)
    print(f"release: {wheel}")
    with tempfile.TemporaryDirectory() as folder:
        copy = unpack(wheel, Path(folder))
        return run(copy, "pytest", "-q", *args.tests, cwd=ROOT) if args.tests else 0


def build(out: Path) -> Path:
    """The source distribution of the checkout, and the wheel of that, in `out`."""
    hatch("sdist", out, ROOT)
    (source,) = out.glob("cohear-*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        (unpacked,) = Path(folder).iterdir()
        hatch("wheel", out, unpacked)
    (wheel,) = out.glob("cohear-*.whl")
    return wheel


def hatch(target: str, out: Path, source: Path) -> None:
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)], cwd=source, check=True)


def unpack(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(copy: Path, module: str, *arguments: str, cwd: Path) -> int:
    """Run a module, or `cohear`, with the copy of Cohear; its exit code."""
    command = [sys.executable, "-P", "-c", COPY, str(ROOT), str(copy), module, *arguments]
    return subprocess.run(command, cwd=cwd, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
