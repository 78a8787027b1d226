from __future__ import annotations

import argparse

import pytest
from cohear_cli.foreign import FLAGS, Foreign, add_foreign_flags, remarks


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_foreign_flags(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_each_is_taken_and_told_in_one_line(flag: Foreign) -> None:
    (remark,) = remarks(parsed(flag.name, "false" if "true" in flag.same else "7"))
    assert remark.startswith(f"{flag.name} ")
    assert flag.instead in remark
    assert "\n" not in remark


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_what_asks_for_what_holds_is_not_told(flag: Foreign) -> None:
    for value in flag.same:
        assert list(remarks(parsed(flag.name, value.upper()))) == []


def test_switches_come_without_a_value_too() -> None:
    assert list(remarks(parsed("--batched", "--carry-initial-prompt"))) == []
    (remark,) = remarks(parsed("--fp16"))
    assert "--compute-type" in remark


def test_nothing_passed_nothing_told() -> None:
    assert list(remarks(parsed())) == []
