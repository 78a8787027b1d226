"""Imports go one way: cohear_cli -> cohear_server -> cohear_client, and inside the server as `LAYERS` says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "cohear_client": ROOT / "client" / "cohear_client",
    "cohear_cli": ROOT / "client" / "cohear_cli",
    "cohear_server": ROOT / "server" / "cohear_server",
}
MODULES = sorted(path for folder in PACKAGES.values() for path in folder.rglob("*.py"))

# what each package may import of the others
BELOW = {
    "cohear_client": set(),
    "cohear_server": {"cohear_client"},
    "cohear_cli": {"cohear_client", "cohear_server"},
}

# what each part of the server may import of the server: the parts in its row, and itself
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "core": {"errors"},
    "models": {"errors"},
    "engine": {"core", "errors", "models"},
    "scheduling": {"core", "engine.backend", "errors"},
    "config": {"core", "errors", "scheduling.scheduler"},
    "access": {"config", "errors", "live", "wire.credentials", "wire.refusals", "wire.web"},
    "live": {"config", "core", "engine", "errors", "models", "scheduling"},
    "wire": {"batch", "config", "core", "engine.backend", "errors", "live"},
    "ops": {"core", "errors", "live", "scheduling"},
    "batch": {"core", "engine", "errors", "models", "scheduling.dispatcher", "scheduling.throughput"},
    "lab": {"core", "engine", "errors", "models"},
    "app": {"access", "batch", "config", "errors", "live", "ops", "wire"},
}

# third parties that only these may know
ONLY = {
    "starlette": {
        "cohear_server.app",
        "cohear_server.wire.channel",
        "cohear_server.wire.bodies",
        "cohear_server.wire.deepgram.files",
        "cohear_server.wire.deepgram.handshake",
        "cohear_server.wire.deepgram.routes",
        "cohear_server.wire.web",
        "cohear_server.wire.hosts",
        "cohear_server.wire.starting",
        "cohear_server.wire.openai.request",
        "cohear_server.wire.openai.rest",
        "cohear_server.wire.realtime.routes",
        "cohear_server.ops.pages",
        "cohear_server.wire.credentials",
        "cohear_server.access.gate",
    },
    "prometheus_client": {"cohear_server.ops.metrics", "cohear_server.ops.history", "cohear_server.ops.pages"},
    "uvicorn": {"cohear_server.app", "cohear_server.wire.open_sockets", "cohear_server.wire.sockets"},
    "av": {
        "cohear_client.files",
        "cohear_client.reading.flowing",
        "cohear_client.reading.recording",
        "cohear_client.reading.track",
    },
    "ctranslate2": {"cohear_server.engine.whisper"},
    "onnxruntime": {"cohear_server.models.silero"},
    "faster_whisper": {"cohear_server.engine.whisper"},
}

CORE_WITHOUT = {"asyncio", "time", "threading", "socket", "os", "pathlib", "importlib", "onnxruntime"}
"""what the core must not import"""


def name_of(path: Path) -> str:
    package = next(name for name, folder in PACKAGES.items() if path.is_relative_to(folder))
    parts = (package, *path.relative_to(PACKAGES[package]).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Absolute names of everything that a module imports, wherever in it."""
    package = name_of(path).split(".") if path.name == "__init__.py" else name_of(path).split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *((node.module or "").split(".") if node.module else [])])
            found |= {module} if node.module else {f"{module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, parts: set[str]) -> bool:
    return any(name == part or name.startswith(part + ".") for part in parts)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    name = name_of(path)
    package, _, inner = name.partition(".")
    part = inner.split(".")[0]
    for imported in imports(path):
        top, _, theirs = imported.partition(".")
        assert top not in ONLY or name in ONLY[top], f"{name} must not know {top}"
        if top in PACKAGES and top != package:
            assert top in BELOW[package], f"{name} imports {imported}"
        if package == top == "cohear_server" and theirs and part:
            assert within(theirs, {*LAYERS[part], part}), f"{name} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_core_knows_no_clock_no_loop_and_no_files(path: Path) -> None:
    if name_of(path).startswith("cohear_server.core"):
        assert CORE_WITHOUT.isdisjoint(imports(path))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_a_wire_knows_its_protocol(path: Path) -> None:
    """Sessions, streams and engines speak the core's commands and events."""
    part = name_of(path).removeprefix("cohear_server.").split(".")[0]
    if part in {"core", "engine", "scheduling", "live", "ops"}:
        assert not {"cohear_client.protocol", "cohear_client.pcm"} & imports(path)


def test_every_part_of_the_server_has_its_layer() -> None:
    server = PACKAGES["cohear_server"]
    parts = {path.relative_to(server).with_suffix("").parts[0] for path in server.rglob("*.py")}
    assert parts - {"__init__"} == set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_are_short_and_introduce_themselves(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= (350 if name_of(path).startswith("cohear_server") else 400)
    assert ast.get_docstring(ast.parse(text)), "a module docstring says what it is and is not"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lines = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    if name_of(path) == "cohear_server.ops.metrics":
        del lines["__init__"]  # a table: one line for each metric
    assert {name: length for name, length in lines.items() if length > 40} == {}


def test_the_session_is_small() -> None:
    path = PACKAGES["cohear_server"] / "core" / "session.py"
    text = path.read_text()
    assert text.count("\n") < 300
    stored = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)]
    own = {node.attr for node in stored if isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"}
    assert len(own) <= 15
