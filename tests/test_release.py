"""What is released: a source distribution that makes the wheel, and a wheel that needs no checkout."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import release
from cohear_cli.bench import BENCHMARKS

from .samples import FOLDER as SAMPLES

ROOT = Path(__file__).parent.parent
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Out of the source distribution, as an index's users build it."""
    return release.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def copy(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release.unpack(wheel, tmp_path_factory.mktemp("copy"))


def ran(copy: Path, *arguments: str) -> str:
    """What `cohear` of the copy prints, in a folder where no checkout is."""
    command = [sys.executable, "-P", "-c", release.COPY, str(ROOT), str(copy), "cohear", *arguments]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = {"cohear_cli", "cohear_client", "cohear_server"}
    assert {name.split("/")[0] for name in names} == packages | {f"cohear-{VERSION}.dist-info"}
    assert {f"{package}/py.typed" for package in packages} <= names
    for package, folder in (("cohear_client", "client"), ("cohear_cli", "client"), ("cohear_server", "server")):
        modules = {str(path.relative_to(ROOT / folder)) for path in (ROOT / folder / package).rglob("*.py")}
        assert modules <= names


def test_its_metadata_names_licences_versions_and_the_command(wheel: Path) -> None:
    files = zipfile.ZipFile(wheel)
    about = email.message_from_bytes(files.read(f"cohear-{VERSION}.dist-info/METADATA"))
    assert about["Version"] == VERSION
    assert about.get_all("License-File") == ["LICENSE", "NOTICE"]
    assert b"OpenAI Whisper" in files.read(f"cohear-{VERSION}.dist-info/licenses/NOTICE")
    assert b"cohear = cohear_cli:main" in files.read(f"cohear-{VERSION}.dist-info/entry_points.txt")


def test_every_licence_of_the_catalogue_is_in_the_notices() -> None:
    catalogue = tomllib.loads((ROOT / "models" / "catalog.toml").read_text())
    notice = (ROOT / "NOTICE").read_text()
    for name, model in catalogue["models"].items():
        family = "distil-*" if name.startswith("distil-") else "OpenAI Whisper"
        assert re.search(rf"{re.escape(family)}.*?{model['licence']} License", notice, re.DOTALL), name


def test_the_version_has_one_place(copy: Path) -> None:
    assert ran(copy, "--version") == f"cohear {VERSION}\n"
    sources = [*(ROOT / "client").rglob("*.py"), *(ROOT / "server").rglob("*.py")]
    assert not [path for path in sources if f'"{VERSION}"' in path.read_text()]


def test_a_copy_knows_its_models_and_benchmarks(copy: Path) -> None:
    assert "tiny.en" in ran(copy, "models", "list")
    for benchmark in BENCHMARKS:
        assert "usage" in ran(copy, "bench", benchmark, "--help")


@pytest.mark.model
@pytest.mark.usefixtures("tiny_en_dir")
def test_a_copy_transcribes_with_the_profile_that_comes_with_it(copy: Path) -> None:
    assert "country" in ran(copy, "transcribe", str(SAMPLES / "jfk.flac"), "--no-cache")
    assert re.search(r"tiny\.en .*yes$", ran(copy, "models", "list"), re.MULTILINE)


def test_tests_pass_on_a_copy(copy: Path) -> None:
    """A few; `make release` runs more."""
    some = ["tests/client/test_protocol.py", "tests/core/test_words.py", "tests/cli/test_ledger.py"]
    assert release.run(copy, "pytest", "-q", "-p", "no:cacheprovider", *some, cwd=ROOT) == 0
