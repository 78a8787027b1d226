"""Environments of other programs' libraries: made once in the user's cache, outside the repository; without them a test
is skipped and says what to install."""

from __future__ import annotations

import json
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

CACHE = Path.home() / ".cache" / "cohear-test"
INSTALL_S = 600


def node_environment(name: str, packages: dict[str, str]) -> Path:
    """A folder with these packages of npm, in exactly these versions. Skips the test where it cannot be made."""
    folder = CACHE / name
    wanted = {"private": True, "dependencies": packages}
    description = folder / "package.json"
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    if (folder / "node_modules").is_dir() and json.loads(description.read_text()) == wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    description.write_text(json.dumps(wanted))
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    if made.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"npm could not install {packages}: {made.stderr[-300:]}")
    return folder


def python_environment(name: str, packages: dict[str, str]) -> Path:
    """The interpreter of an environment with these packages, in exactly these versions. Skips the test where it cannot
    be made."""
    folder = CACHE / name
    interpreter, done = folder / "bin" / "python", folder / "packages.json"
    if done.is_file() and json.loads(done.read_text()) == packages:
        return interpreter
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    wanted = [f"{package}=={version}" for package, version in packages.items()]
    command = [str(interpreter), "-m", "pip", "install", "--quiet", *wanted]
    made = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    if made.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"pip could not install {' '.join(wanted)}: {made.stderr[-300:]}")
    done.write_text(json.dumps(packages))
    return interpreter
