"""One object from four sources; each mistake names its setting and the remedy."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from cohear_server.config import ServerConfig, add_arguments, load
from cohear_server.errors import ClientError


def parsed(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(flags)


def test_defaults() -> None:
    assert load(parsed(), {}) == ServerConfig()


def test_the_later_source_wins(tmp_path: Path) -> None:
    file = tmp_path / "cohear.toml"
    file.write_text('port = 1\nhost = "file"\nmodel = "base"\nmax_segment_s = 10')
    config = load(
        parsed("--config", str(file), "--port", "3"),
        {"COHEAR_PORT": "2", "COHEAR_HOST": "env", "COHEAR_OFFLINE": "yes"},
    )
    assert config == ServerConfig(port=3, host="env", model="base", max_segment_s=10.0, offline=True)


def test_a_flag_can_switch_off_what_the_environment_switched_on() -> None:
    assert not load(parsed("--no-offline"), {"COHEAR_OFFLINE": "1"}).offline


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "'prot' is no setting"),
        ('port = "x"', "'port' is 'x'"),
        ("port = true", "'port' is True"),
        ("port = 70000", "'port' is 70000: use 0 to 65535"),
        ('vad = "ears"', "'vad' is ears: use one of cascade"),
        ("port = ", "is not TOML"),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "cohear.toml"
    file.write_text(text)
    with pytest.raises(ClientError, match=message):
        load(parsed("--config", str(file)), {})


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ClientError, match="name a readable TOML file"):
        load(parsed("--config", "/nowhere/cohear.toml"), {})


@pytest.mark.parametrize("variable", ["COHEAR_PORT", "COHEAR_OFFLINE", "COHEAR_MAX_SEGMENT_S"])
def test_mistakes_in_the_environment_name_the_variable(variable: str) -> None:
    with pytest.raises(ClientError, match=variable):
        load(parsed(), {variable: "many"})
