"""`cohear bench` finds its scripts and hands them their flags."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from cohear_cli import main
from cohear_cli.bench import BENCHMARKS, bench_dir

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_tells_its_flags(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", name, "--help"]) == 0
    assert "--speech" in capfd.readouterr().out


def test_a_fault_of_the_script_is_ours(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "load"]) == 2
    assert "--speech" in capfd.readouterr().err


def test_the_wheel_holds_what_they_import() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        included = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    shipped = {Path(path).stem for path in included if path.startswith("bench/")}
    assert shipped >= set(BENCHMARKS)
    for name in shipped:
        tree = ast.parse((bench_dir() / f"{name}.py").read_text())
        wanted = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        ours = {module for module in wanted if module and (bench_dir() / f"{module}.py").is_file()}
        assert ours <= shipped, f"{name} imports what is not shipped"
