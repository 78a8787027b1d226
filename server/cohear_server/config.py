"""All settings of the server, in one object: defaults, then a TOML file, then the environment, then flags.

`COHEAR_PORT=9000`, `port = 9000` in the file and `--port 9000` mean the same; the later source wins. Each setting is
declared once, with its limits and its help; docs/configuration.md is made from that (scripts/configuration.py).
Defaults that a part of the server has for itself are taken from there.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from cohear_client.fields import WrongField, explain, hints, type_info, unwrapped, wrong_field
from cohear_client.protocol import MAX_ENDPOINT_MS, MIN_ENDPOINT_MS
from msgspec import inspect

from .core.options import SessionOptions
from .core.segment import PartialOptions
from .core.segmenter import SegmenterOptions
from .core.vad import VadName
from .errors import ClientError
from .scheduling.scheduler import SchedulerOptions

ENVIRONMENT_PREFIX = "COHEAR_"
OTHER_VARIABLES = ("COHEAR_API_KEY", "COHEAR_BENCH_")
"""variables of this prefix that are no settings of the server: the clients', and those of the benchmarks"""

_HOST = re.compile(r"\*|[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_ORIGIN = re.compile(r"\*|https?://[^/\s]+")
_SESSION, _SEGMENTER, _PARTIALS, _BATCHES = SessionOptions(), SegmenterOptions(), PartialOptions(), SchedulerOptions()


def _says(help_text: str, low: float | None = None, high: float | None = None) -> msgspec.Meta:
    """What `--help` and the reference say of a setting, and its limits, both included."""
    return msgspec.Meta(description=help_text, ge=low, le=high)


class ServerConfig(msgspec.Struct, frozen=True):
    """Raises ClientError(`bad_config`) for a value out of its limits, and for values that do not go together."""

    host: Annotated[str, _says("address to listen on")] = "127.0.0.1"
    port: Annotated[int, _says("port to listen on; 0 picks a free one", 0, 65_535)] = 8765
    model: Annotated[str, _says("tiny.en, base, large-v3-turbo, any faster-whisper name, or a CTranslate2 folder")] = (
        "tiny.en"
    )
    partial_model: Annotated[
        str, _says("a smaller model for partials when the server is at its limit, as tiny.en beside base")
    ] = ""
    model_dir: Annotated[str, _says("folder that holds downloaded models (default: the user's cache folder)")] = ""
    offline: Annotated[bool, _says("never ask the Hugging Face hub for weights")] = False
    device: Annotated[Literal["auto", "cpu", "cuda"], _says("where to decode")] = "auto"
    compute_type: Annotated[str, _says("int8, float16, ...; default: int8 on a CPU, float16 on a GPU")] = "default"
    workers: Annotated[int, _says("batches decoded at the same time; 0: one a core (CPU) or one (GPU)", 0, 64)] = 0
    threads: Annotated[int, _says("CPU threads of each worker", 1, 64)] = 1
    max_batch: Annotated[int, _says("most windows decoded together; fewer where more are not worth it", 1, 256)] = (
        _BATCHES.max_batch
    )
    max_batch_s: Annotated[float, _says("most seconds of audio decoded together", 1, 10_000)] = _BATCHES.max_batch_s
    vad: Annotated[VadName, _says("speech detector: cascade is webrtc, confirmed by silero")] = _SESSION.vad
    endpoint_ms: Annotated[
        int, _says("silence that ends a segment, unless a client asks otherwise", MIN_ENDPOINT_MS, MAX_ENDPOINT_MS)
    ] = _SEGMENTER.endpoint_ms
    partial_interval_ms: Annotated[int, _says("new audio between two partials of a stream, at least", 100, 10_000)] = (
        _PARTIALS.interval_ms
    )
    max_segment_s: Annotated[float, _says("longer speech without a pause is cut at its quietest point", 5, 28)] = (
        _SEGMENTER.max_segment_s
    )
    max_streams: Annotated[int, _says("more streams than this are refused, with a time to retry", 1, 100_000)] = 200
    max_streams_per_key: Annotated[int, _says("most streams of one key; 0: all", 0, 100_000)] = 0
    max_streams_per_address: Annotated[
        int, _says("most streams from one address; 0: all, or half of them from one in the internet", 0, 100_000)
    ] = 0
    max_uploads: Annotated[int, _says("most files received or heard at the same time", 1, 10_000)] = 64
    max_uploads_per_key: Annotated[int, _says("most of them from one key; 0: all", 0, 10_000)] = 0
    max_upload_mb: Annotated[int, _says("largest file that may be sent, in MiB", 1, 100_000)] = 512
    max_connections: Annotated[int, _says("most open connections; 0: as many as open files allow", 0, 100_000)] = 0
    max_connections_per_address: Annotated[
        int, _says("most connections from one address; 0: all, or half of them from one in the internet", 0, 100_000)
    ] = 0
    admission: Annotated[bool, _says("refuse a stream that would break the latency promise to those already here")] = (
        True
    )
    idle_timeout_s: Annotated[
        float, _says("a stream without audio, keepalive or messages is closed after this", 1, 86_400)
    ] = 60.0
    resume_window_s: Annotated[
        float, _says("a stream whose connection was lost can be resumed for this long", 0, 3_600)
    ] = 30.0
    allowed_origins: Annotated[
        str, _says("pages of other hosts that may stream, as https://a.example,https://b.example")
    ] = ""
    allowed_hosts: Annotated[
        str, _says("names that the server is reached by, as a.example,b.example; addresses always are")
    ] = ""
    keys: Annotated[str, _says("file of API keys (see `cohear keys`): without one of them nobody gets in")] = ""
    open: Annotated[bool, _says("let anybody use a server that other machines reach, without keys")] = False
    ssl_certfile: Annotated[str, _says("certificate of the server, with its chain (PEM): https and wss")] = ""
    ssl_keyfile: Annotated[str, _says("private key of that certificate, where it is in a file of its own")] = ""
    cache: Annotated[bool, _says("keep finals for audio that comes again: what people said is then on the disk")] = (
        False
    )
    cache_dir: Annotated[str, _says("folder of the results that are kept (default: the user's cache folder)")] = ""
    cache_limit_mb: Annotated[
        int, _says("most that is kept; what was not used for longest is removed first", 1, 1_000_000)
    ] = 1024
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _says("how much to log; debug tells how each stream goes, not what is said"),
    ] = "info"

    def __post_init__(self) -> None:
        if wrong := wrong_field(self):
            raise _bad(wrong)
        for origin in allowed_origins(self):
            if not _ORIGIN.fullmatch(origin):
                remedy = "name each as https://host or https://host:port, or use *"
                raise _bad(WrongField("allowed_origins", f"is {origin!r}", remedy))
        for host in allowed_hosts(self):
            if not _HOST.fullmatch(host):
                remedy = "name each as host.example, without scheme and port, or use *"
                raise _bad(WrongField("allowed_hosts", f"is {host!r}", remedy))
        for clash in _clashes(self):
            raise _bad(clash)


def _clashes(config: ServerConfig) -> Iterator[WrongField]:
    """Settings that are legal one by one, and not together."""
    longest = f"segments are cut at max_segment_s {config.max_segment_s:g}"
    if config.endpoint_ms >= 1000 * config.max_segment_s:
        yield WrongField(
            "endpoint_ms", f"is {config.endpoint_ms}, but {longest}", "lower endpoint_ms, or raise max_segment_s"
        )
    if config.partial_interval_ms >= 1000 * config.max_segment_s:
        yield WrongField(
            "partial_interval_ms",
            f"is {config.partial_interval_ms}, but {longest}, so that no partial would come",
            "lower partial_interval_ms, or raise max_segment_s",
        )
    if config.max_batch_s < config.max_segment_s:
        yield WrongField(
            "max_batch_s",
            f"is {config.max_batch_s:g}, less than one segment of max_segment_s {config.max_segment_s:g}",
            "raise max_batch_s, or lower max_segment_s",
        )


def allowed_origins(config: ServerConfig) -> tuple[str, ...]:
    """The origins in the list, in lower case; `*` stands for all."""
    return _listed(config.allowed_origins)


def allowed_hosts(config: ServerConfig) -> tuple[str, ...]:
    """The names in the list, in lower case; `*` stands for all."""
    return _listed(config.allowed_hosts)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item for part in text.split(",") if (item := part.strip().lower()))


def add_arguments(parser: argparse.ArgumentParser, *, only: tuple[str, ...] = ()) -> None:
    """One flag a setting (or those in `only`), and `--config`. Unset flags leave the other sources in force."""
    parser.add_argument("--config", metavar="FILE", help="TOML file with any of these settings")
    for item in msgspec.structs.fields(ServerConfig):
        if only and item.name not in only:
            continue
        flag, declared = "--" + item.name.replace("_", "-"), unwrapped(type_info(item.type))
        text = help_of(item).replace("%", "%%")
        if isinstance(declared, inspect.BoolType):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
            continue
        text += f" (default: {item.default})" if item.default not in ("", 0) and "default" not in text else ""
        choices = choices_of(item) or None
        kind = type(item.default)
        metavar = None if choices else _metavar(item.name, kind)
        parser.add_argument(flag, type=kind, choices=choices, metavar=metavar, default=None, help=text)


def _metavar(name: str, kind: type) -> str:
    """What stands for the value in the help: its unit, `N` for another number, or the last word of the name."""
    last = name.rsplit("_", maxsplit=1)[-1].upper()
    return "N" if kind in (int, float) and last not in ("MS", "S", "MB", "PORT") else last


def help_of(item: msgspec.structs.FieldInfo) -> str:
    """What a setting is, in one line."""
    declared = type_info(item.type)
    return str((declared.extra_json_schema or {})["description"]) if isinstance(declared, inspect.Metadata) else ""


def choices_of(item: msgspec.structs.FieldInfo) -> tuple[str, ...]:
    """The values of a setting that has a few, in the order in which they are declared."""
    return get_args(get_args(item.type)[0])


def load(args: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> ServerConfig:
    """The settings that hold; variables that look like settings and are none are told on standard error.

    Raises ClientError(`bad_config`) naming the setting, its source and the remedy.
    """
    for warning in unknown_variables(environment):
        print(f"cohear: {warning}", file=sys.stderr)
    values: dict[str, Any] = {}
    flags = vars(args)
    if flags.get("config"):
        values |= _from_file(Path(flags["config"]))
    values |= _from_environment(environment)
    values |= {n: flags[n] for n in ServerConfig.__struct_fields__ if flags.get(n) is not None}
    return ServerConfig(**values)


def unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each variable that has our prefix and that nothing reads."""
    known = [ENVIRONMENT_PREFIX + name.upper() for name in ServerConfig.__struct_fields__]
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known and not name.startswith(OTHER_VARIABLES):
            near = difflib.get_close_matches(name, known, n=1)
            yield f"variable {name} is no setting and changes nothing" + (f"; do you mean {near[0]}?" if near else "")


def _from_file(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text())
    except OSError as fault:
        raise ClientError("bad_config", f"{path}: {fault.strerror}", "name a readable TOML file") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ClientError("bad_config", f"{path} is not TOML: {fault}", "write settings as name = value") from fault
    known = ServerConfig.__struct_fields__
    for name in sorted(data.keys() - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"do you mean {near[0]}?" if near else f"known settings: {', '.join(known)}"
        raise _bad(WrongField(name, f"in {path} does not exist", remedy))
    return {name: _value(name, value, str(path)) for name, value in data.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """An empty variable is as good as none."""
    variables = {name: ENVIRONMENT_PREFIX + name.upper() for name in ServerConfig.__struct_fields__}
    return {
        name: _value(name, text, variable, strict=False)
        for name, variable in variables.items()
        if (text := environment.get(variable))
    }


def _value(name: str, value: object, source: str, *, strict: bool = True) -> object:
    """The value of a setting; where it is not `strict`, from text."""
    hint = hints(ServerConfig)[name]
    if isinstance(value, str) and isinstance(unwrapped(type_info(hint)), inspect.BoolType) and not strict:
        value = {"yes": True, "no": False}.get(value.lower(), value)
    try:
        return msgspec.convert(value, hint, strict=strict)
    except msgspec.ValidationError as fault:
        wrong = explain(name, value, hint, fault)
        raise _bad(WrongField(name, f"{wrong.what} in {source}", wrong.remedy)) from fault


def _bad(wrong: WrongField) -> ClientError:
    return ClientError("bad_config", f"setting {wrong.name!r} {wrong.what}", wrong.remedy)
