"""All settings of the server, in one object: defaults, then a TOML file, then the environment, then flags.

`COHEAR_PORT=9000`, `port = 9000` in the file and `--port 9000` mean the same; the later source wins.
"""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from cohear_client.protocol import MAX_ENDPOINT_MS, MIN_ENDPOINT_MS

from .core.vad import VAD_NAMES
from .errors import ClientError

ENVIRONMENT_PREFIX = "COHEAR_"
_HOST = re.compile(r"\*|[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_ORIGIN = re.compile(r"\*|https?://[^/\s]+")


def _setting(default: Any, help_text: str, *, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help_text, "choices": choices})


@dataclass(frozen=True, slots=True)
class ServerConfig:
    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(8765, "port to listen on; 0 picks a free one")
    model: str = _setting("tiny.en", "tiny.en, base, large-v3-turbo, any faster-whisper name, or a CTranslate2 folder")
    partial_model: str = _setting(
        "", "a smaller model for partials when the server is at its limit, as tiny.en beside base"
    )
    model_dir: str = _setting("", "folder that holds downloaded models (default: the user's cache folder)")
    offline: bool = _setting(False, "never ask the Hugging Face hub for weights")
    device: str = _setting("auto", "where to decode", choices=("auto", "cpu", "cuda"))
    compute_type: str = _setting("default", "int8, float16, ...; default: int8 on a CPU, float16 on a GPU")
    workers: int = _setting(0, "batches decoded at the same time; 0: one a core (CPU) or one (GPU)")
    threads: int = _setting(1, "CPU threads of each worker")
    max_batch: int = _setting(8, "most windows decoded together")
    max_batch_s: float = _setting(30.0, "most seconds of audio decoded together")
    vad: str = _setting("cascade", "speech detector: cascade is webrtc, confirmed by silero", choices=VAD_NAMES)
    endpoint_ms: int = _setting(500, "silence that ends a segment, unless a client asks otherwise")
    partial_interval_ms: int = _setting(400, "new audio between two partials of a stream, at least")
    max_segment_s: float = _setting(10.0, "longer speech without a pause is cut at its quietest point")
    max_streams: int = _setting(200, "more streams than this are refused, with a time to retry")
    max_streams_per_key: int = _setting(0, "of them of one key; 0: all of them")
    max_streams_per_address: int = _setting(0, "of them from one address; 0: all of them")
    max_connections: int = _setting(0, "open connections of all kinds; 0: as many as open files allow")
    max_connections_per_address: int = _setting(0, "of them from one address; 0: all of them")
    admission: bool = _setting(True, "refuse a stream that would break the latency promise to those already here")
    idle_timeout_s: float = _setting(60.0, "a stream without audio, keepalive or messages is closed after this")
    resume_window_s: float = _setting(30.0, "a stream whose connection was lost can be resumed for this long")
    allowed_origins: str = _setting("", "pages of other hosts that may stream, as https://a.example,https://b.example")
    allowed_hosts: str = _setting(
        "", "names that the server is reached by, as a.example,b.example; addresses always are"
    )
    keys: str = _setting("", "file of API keys (see `cohear keys`): without one of them nobody gets in")
    open: bool = _setting(False, "let anybody who reaches it use a server that other machines reach, without keys")
    ssl_certfile: str = _setting("", "certificate of the server, with its chain (PEM): https and wss")
    ssl_keyfile: str = _setting("", "private key of that certificate, where it is in a file of its own")
    cache: bool = _setting(False, "keep finals for audio that comes again: what people said is then on the disk")
    cache_dir: str = _setting("", "folder of what is kept (default: COHEAR_CACHE_DIR, or the user's cache folder)")
    cache_limit_mb: int = _setting(1024, "size of what is kept, at most; what was not used for longest goes first")
    log_level: str = _setting("info", "how much to log", choices=("debug", "info", "warning", "error"))

    def __post_init__(self) -> None:
        _check("port", self.port, 0, 65_535)
        _check("workers", self.workers, 0, 64)
        _check("threads", self.threads, 1, 64)
        _check("max_batch", self.max_batch, 1, 256)
        _check("max_batch_s", self.max_batch_s, 1, 10_000)
        _check("endpoint_ms", self.endpoint_ms, MIN_ENDPOINT_MS, MAX_ENDPOINT_MS)
        _check("partial_interval_ms", self.partial_interval_ms, 100, 10_000)
        _check("max_segment_s", self.max_segment_s, 5, 28)
        _check("max_streams", self.max_streams, 1, 100_000)
        for name in ("max_streams_per_key", "max_streams_per_address", "max_connections_per_address"):
            _check(name, getattr(self, name), 0, 100_000)
        if self.max_connections:
            _check("max_connections", self.max_connections, 32, 100_000)
        _check("resume_window_s", self.resume_window_s, 0, 3_600)
        _check("idle_timeout_s", self.idle_timeout_s, 1, 86_400)
        _check("cache_limit_mb", self.cache_limit_mb, 1, 1_000_000)
        for origin in allowed_origins(self):
            if not _ORIGIN.fullmatch(origin):
                raise _bad("allowed_origins", repr(origin), "name each as https://host or https://host:port, or use *")
        for host in allowed_hosts(self):
            if not _HOST.fullmatch(host):
                raise _bad("allowed_hosts", repr(host), "name each as host.example, without scheme and port, or use *")
        for item in fields(self):
            choices = item.metadata["choices"]
            if choices and getattr(self, item.name) not in choices:
                raise _bad(item.name, getattr(self, item.name), f"use one of {', '.join(choices)}")


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
    hints = get_type_hints(ServerConfig)
    for item in fields(ServerConfig):
        if only and item.name not in only:
            continue
        flag = "--" + item.name.replace("_", "-")
        text = item.metadata["help"].replace("%", "%%")
        if hints[item.name] is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
            continue
        text += f" (default: {item.default})" if item.default not in ("", 0) and "default" not in text else ""
        choices = item.metadata["choices"] or None
        metavar = None if choices else item.name.rsplit("_", maxsplit=1)[-1].upper()
        parser.add_argument(flag, type=hints[item.name], choices=choices, metavar=metavar, default=None, help=text)


def load(args: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> ServerConfig:
    """The settings that hold. Raises ClientError(`bad_config`) naming the setting, its source and the remedy."""
    values: dict[str, Any] = {}
    given = vars(args)
    if given.get("config"):
        values |= _from_file(Path(given["config"]))
    values |= _from_environment(environment)
    values |= {f.name: given[f.name] for f in fields(ServerConfig) if given.get(f.name) is not None}
    return ServerConfig(**values)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text())
    except OSError as fault:
        raise ClientError("bad_config", f"{path}: {fault.strerror}", "name a readable TOML file") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ClientError("bad_config", f"{path} is not TOML: {fault}", "write settings as name = value") from fault
    hints = get_type_hints(ServerConfig)
    for name, value in data.items():
        if name not in hints:
            raise _bad(name, "no setting", f"known settings: {', '.join(hints)}")
        wanted = (int, float) if hints[name] is float else hints[name]
        if not isinstance(value, wanted) or (isinstance(value, bool) and hints[name] is not bool):
            raise _bad(name, repr(value), f"give it a value of type {hints[name].__name__}")
    return data


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, kind in get_type_hints(ServerConfig).items():
        text = environment.get(ENVIRONMENT_PREFIX + name.upper())
        if text is None:
            continue
        try:
            values[name] = _truth(text) if kind is bool else kind(text)
        except ValueError as fault:
            variable = ENVIRONMENT_PREFIX + name.upper()
            raise _bad(name, f"{text!r} in {variable}", f"give it a value of type {kind.__name__}") from fault
    return values


def _truth(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise _bad(name, value, f"use {low} to {high}")


def _bad(name: str, value: object, remedy: str) -> ClientError:
    return ClientError("bad_config", f"setting {name!r} is {value}", remedy)
