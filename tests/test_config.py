"""One object from four sources; each mistake names its setting and the remedy."""

from __future__ import annotations

import argparse
import runpy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cohear_client.fields import type_info, unwrapped
from cohear_server.config import ServerConfig, add_arguments, load
from cohear_server.core.segment import PartialOptions
from cohear_server.core.segmenter import SegmenterOptions
from cohear_server.errors import ClientError
from cohear_server.live.service import Service
from cohear_testing.fake import FakeBackend
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

ROOT = Path(__file__).parent.parent


def parsed(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(flags)


def test_defaults() -> None:
    assert load(parsed(), {}) == ServerConfig()


def test_the_help_shows_numbers_as_numbers_or_by_their_unit() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    shown = {action.dest: action.metavar for action in parser._actions}
    assert (shown["max_streams_per_key"], shown["endpoint_ms"], shown["max_segment_s"]) == ("N", "MS", "S")
    assert (shown["model"], shown["cache_dir"]) == ("MODEL", "DIR")


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
        ("prot = 1", "'prot' in .*cohear.toml does not exist: do you mean port?"),
        ("xyz = 1", "'xyz' in .*cohear.toml does not exist: known settings: host, port"),
        ('port = "x"', "'port' is 'x' in .*cohear.toml: give a whole number"),
        ("port = true", "'port' is True"),
        ("port = 70000", "'port' is 70000 in .*cohear.toml: use 0 to 65535"),
        ("max_segment_s = 4.5", "'max_segment_s' is 4.5 in .*cohear.toml: use 5 to 28"),
        ("max_segment_s = nan", "'max_segment_s' is nan"),
        ('vad = "ears"', "'vad' is 'ears' in .*cohear.toml: use one of cascade"),
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


@pytest.mark.parametrize(("text", "on"), [("1", True), ("true", True), ("YES", True), ("0", False), ("No", False)])
def test_truth_in_the_environment(text: str, on: bool) -> None:
    assert load(parsed(), {"COHEAR_OFFLINE": text}).offline is on


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert load(parsed(), {"COHEAR_MODEL": "", "COHEAR_PORT": "", "COHEAR_ADMISSION": ""}) == ServerConfig()


def test_a_variable_that_is_no_setting_is_told_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    strange = {"COHEAR_MAX_SEGMNT_S": "6", "COHEAR_XYZ": "1"}
    assert load(parsed(), {**strange, "COHEAR_API_KEY": "secret", "HOME": "/", "COHEAR_HOST": "h"}).host == "h"
    told = capsys.readouterr().err
    assert "COHEAR_MAX_SEGMNT_S is no setting and changes nothing; do you mean COHEAR_MAX_SEGMENT_S?" in told
    assert "COHEAR_XYZ is no setting" in told
    assert "API_KEY" not in told
    assert "secret" not in told
    assert len(told.splitlines()) == 2


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"endpoint_ms": 5_000, "max_segment_s": 5.0}, ("endpoint_ms", "max_segment_s")),
        ({"partial_interval_ms": 10_000}, ("partial_interval_ms", "max_segment_s")),
        ({"max_batch_s": 9.0}, ("max_batch_s", "max_segment_s")),
    ],
)
def test_settings_that_do_not_go_together_are_both_named(settings: dict[str, Any], names: tuple[str, str]) -> None:
    with pytest.raises(ClientError) as caught:
        ServerConfig(**settings)
    assert caught.value.code == "bad_config"
    assert all(name in caught.value.message and name in caught.value.remedy for name in names)


def values(declared: inspect.Type) -> st.SearchStrategy[Any]:
    match unwrapped(declared):
        case inspect.IntType(ge=int(low), le=int(high)):
            return st.sampled_from([low, high]) | st.integers(low, high)
        case inspect.FloatType(ge=int(low), le=int(high)):
            return st.sampled_from([float(low), float(high)]) | st.floats(low, high)
        case inspect.LiteralType(values=choices):
            return st.sampled_from(choices)
        case inspect.BoolType():
            return st.booleans()
    return st.just("")


LIMITED = {f.name: values(type_info(f.type)) for f in msgspec.structs.fields(ServerConfig)}


@given(st.fixed_dictionaries({}, optional=LIMITED))
def test_settings_within_their_limits_make_a_server_or_name_two_that_clash(settings: dict[str, Any]) -> None:
    clash = None
    try:
        config = ServerConfig(**settings)
        assert Service(config, FakeBackend()).config is config
    except ClientError as fault:
        clash = fault
    assert clash is None or sum(name in clash.message for name in LIMITED) >= 2


def test_a_setting_made_by_a_program_is_held_to_its_limits() -> None:
    with pytest.raises(ClientError, match="'port' is 70000: use 0 to 65535"):
        ServerConfig(port=70_000)
    with pytest.raises(ClientError, match="'admission' is 1: give true or false"):
        ServerConfig(admission=1)  # type: ignore[arg-type]


def test_defaults_are_those_of_the_parts() -> None:
    config = ServerConfig()
    assert config.endpoint_ms == SegmenterOptions().endpoint_ms
    assert config.max_segment_s == SegmenterOptions().max_segment_s
    assert config.partial_interval_ms == PartialOptions().interval_ms


def test_the_reference_is_that_of_these_settings() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "configuration.py"))
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert text == script["renewed"](text), "run scripts/configuration.py"
    assert all(f"`{name}`" in text for name in ServerConfig.__struct_fields__)


@pytest.mark.parametrize("variable", ["COHEAR_PORT", "COHEAR_OFFLINE", "COHEAR_MAX_SEGMENT_S"])
def test_mistakes_in_the_environment_name_the_variable(variable: str) -> None:
    with pytest.raises(ClientError, match=variable):
        load(parsed(), {variable: "many"})
