from __future__ import annotations

import argparse

import pytest
from cohear_cli.transcribe import _how_to_go_on


@pytest.mark.parametrize(
    ("given", "promise"),
    [
        ({}, "the same command goes on from there"),
        ({"format": ("txt",)}, "the same command goes on from there"),
        ({"no_cache": True}, "nothing was remembered, the same command begins anew"),
        ({"no_cache": True, "format": ("txt",)}, "the same command with --skip-existing does those"),
        ({"url": "ws://x"}, "nothing was remembered, the same command begins anew"),
        ({"url": "ws://x", "format": ("txt",)}, "the same command with --skip-existing does those"),
    ],
)
def test_an_interrupted_run_promises_only_what_holds(given: dict[str, object], promise: str) -> None:
    args = argparse.Namespace(**({"url": None, "no_cache": False, "format": ()} | given))
    assert _how_to_go_on(3, args) == f"cohear: interrupted with 3 files left; {promise}"
