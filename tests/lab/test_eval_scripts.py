"""`bench/eval.py` and `bench/calibrate.py`: what they write into pages and profiles."""

from __future__ import annotations

import importlib
import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from cohear_server.engine.calibration import Calibration
from cohear_server.lab.evaluation import Evaluation, SetResult
from cohear_server.lab.scoring import ErrorRate


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads a script of bench/ by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "bench"))
    return importlib.import_module


def test_figures_survive_the_file(script: Any) -> None:
    module = script("eval")
    rate = ErrorRate(8.0, 4.0, 12.0)
    row = SetResult("calls", 3, 20.0, 50, rate, rate, 14.0, 70.5, 0, 1, None, None, 0.05)
    silent = SetResult("noise", 3, 20.0, 0, None, None, 14.0, 70.5, 0, 0, 2, 1, None)
    found = Evaluation("tiny.en", True, (row, silent), 0.04)
    assert module.evaluation(json.loads(json.dumps(asdict(found)))) == found
    text = module.section(found, 38.0)
    assert text.count("| calls | 3 | 50 | 8.0 (4.0-12.0) |") == 1
    assert "| noise | 3 | 0 | 2 words | 1 words |" in text
    assert "38 ms (median)" in text


@pytest.mark.parametrize("place", ["none", "last", "before others"])
def test_calibration_replaces_its_table_only(tmp_path: Path, script: Any, place: str) -> None:
    module = script("calibrate")
    fields, old, measured = (
        '# made by hand\nslope_of_text = "a [b]"\n',
        "\n[calibration]\nslope = 9\nold = 1\n",
        "\n[measured]\nn = 4\n",
    )
    parts = {"none": [fields, measured], "last": [fields, measured, old], "before others": [fields, old, measured]}
    path = tmp_path / "profile.toml"
    path.write_text("".join(parts[place]))
    rated = module.Rated([0.2, 0.9, 0.8], [False, True, True], 2)
    for _ in range(2):
        module.store(path, Calibration(1.1, 0.5), rated, rated)
    text = path.read_text()
    data = tomllib.loads(text)
    assert text.startswith(fields)
    assert data["measured"] == {"n": 4}
    assert data["calibration"]["slope"] == 1.1
    assert data["calibration"]["fitted_words"] == 3
    assert data["calibration"]["ece_before"] > 0
    assert "old" not in data["calibration"]
    assert "\n\n\n" not in text
