from __future__ import annotations

import argparse

import pytest
from cohear_cli.flags import add_flags
from cohear_cli.scope import IN_PROCESS, WITH_SERVER, misplaced

VALUES = {
    "model_dir": "m",
    "device": "cpu",
    "compute_type": "int8",
    "cache_dir": "c",
    "key": "k",
}


def wrong(*arguments: str) -> str | None:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return misplaced(parser.parse_args(["a.wav", *arguments]), parser.get_default)


def passed(name: str) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    match name:
        case "offline":
            return [flag]
        case "word_timestamps" | "vad_filter":
            return [flag, "False"]
        case "endpoint_ms":
            return [flag, "700"]
        case _ if "threshold" in name or "temperature" in name:
            return [flag, "0.5"]
    return [flag, VALUES.get(name, "3")]


@pytest.mark.parametrize("name", IN_PROCESS)
def test_a_flag_of_this_process_is_an_error_with_a_server(name: str) -> None:
    assert wrong(*passed(name)) is None
    told = wrong(*passed(name), "--url", "ws://x")
    assert told is not None
    assert told.startswith(f"--{name.replace('_', '-')} only works without --url")


@pytest.mark.parametrize("name", WITH_SERVER)
def test_a_flag_of_a_server_is_an_error_without(name: str) -> None:
    assert wrong(*passed(name), "--url", "ws://x") is None
    told = wrong(*passed(name))
    assert told is not None
    assert told.endswith("only works with --url")
