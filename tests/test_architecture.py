"""The import rule: client.protocol <- core <- scheduling, decoding <- stream, service <- gateway <- app."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVER, CLIENT = ROOT / "server" / "cohear_server", ROOT / "client" / "cohear_client"
MODULES = sorted([*SERVER.rglob("*.py"), *CLIENT.rglob("*.py")])
OUTER = {
    "app",
    "gateway",
    "service",
    "stream",
    "local_stream",
    "outbox",
    "observer",
    "caller",
    "timing",
    "config",
    "web",
}

# what each part of the server may import of the server itself
ALLOWED = {
    "core": {"core", "errors"},
    "batch": {"batch", "core", "decoding", "scheduling.dispatcher", "scheduling.throughput", "errors"},
    "decoding": {"core", "decoding", "errors"},
    "scheduling": {"core", "scheduling", "decoding.backend", "errors"},
}

# third parties that only these may know
ONLY = {
    "starlette": {
        "cohear_server.app",
        "cohear_server.gateway",
        "cohear_server.web",
        "cohear_server.ops.pages",
        "cohear_server.ops.gate",
    },
    "prometheus_client": {"cohear_server.ops.metrics", "cohear_server.ops.history", "cohear_server.ops.pages"},
    "uvicorn": {"cohear_server.app"},
    "av": {"cohear_server.batch.sources"},
    "ctranslate2": {"cohear_server.decoding.whisper"},
    "faster_whisper": {"cohear_server.decoding.whisper"},
}


def name_of(path: Path) -> str:
    base = SERVER if path.is_relative_to(SERVER) else CLIENT
    parts = path.relative_to(base.parent).with_suffix("").parts
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


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports(path: Path) -> None:
    name = name_of(path)
    part = name.split(".")[1] if name.count(".") else ""
    for imported in imports(path):
        top = imported.split(".")[0]
        assert top not in ONLY or name in ONLY[top], f"{name} must not know {top}"
        inner = imported.removeprefix("cohear_server.")
        if part in ALLOWED and imported.startswith("cohear_server."):
            allowed = ALLOWED[part]
            assert any(inner == a or inner.startswith(a + ".") for a in allowed), f"{name} imports {imported}"
        if part == "core":
            assert top not in {"asyncio", "time", "threading", "socket"}, f"{name} imports {top}"
        if name.startswith("cohear_client") and not name.startswith("cohear_client.cli"):
            assert top != "cohear_server", f"{name} imports the server"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_are_short_and_introduce_themselves(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    assert ast.get_docstring(ast.parse(text)), "a module docstring says what it is and is not"
