"""Starts speaches with the weights in a hub cache of its own: PORT MODEL CORES. Runs in its environment.

Libraries of its executors for speech synthesis and speaker recognition, which transcription does not touch, are
replaced by empty ones.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import ClassVar
from unittest.mock import MagicMock

SOURCE = Path(sys.executable).parents[1] / "source" / "src"
UNUSED = ("aiortc", "gradio", "kokoro_onnx", "onnx_asr", "opentelemetry.exporter", "piper", "pyannote", "torch")
MODEL_ID = "local/tiny.en"
CARD = "---\nlibrary_name: ctranslate2\npipeline_tag: automatic-speech-recognition\nlanguage: en\n---\n"


class Empty(MagicMock):
    """A module of which anything can be imported."""

    __path__: ClassVar[list[str]] = []
    __all__: ClassVar[list[str]] = []


class Unused(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if any(name == unused or name.startswith(f"{unused}.") for unused in UNUSED):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        made: ModuleType = Empty(name=spec.name)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


def put_into_cache(model: Path, hub: Path) -> None:
    """As the hub's client leaves a downloaded model behind."""
    repository = hub / f"models--{MODEL_ID.replace('/', '--')}"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    for file in model.iterdir():
        (snapshot / file.name).symlink_to(file)
    (snapshot / "README.md").write_text(CARD)


def main() -> None:
    port, model, cores = sys.argv[1:4]
    put_into_cache(Path(model), Path(os.environ["HF_HOME"]) / "hub")
    Path("model_aliases.json").write_text("{}")
    Path("realtime-console/dist").mkdir(parents=True)
    os.environ |= {"WHISPER__INFERENCE_DEVICE": "cpu", "WHISPER__COMPUTE_TYPE": "int8", "WHISPER__CPU_THREADS": cores}
    os.environ |= {"ENABLE_UI": "false", "LOG_LEVEL": "error", "STT_MODEL_TTL": "-1", "UVICORN_PORT": port}
    # it calls its own transcription; without this, in a way that its framework's versions do not take
    os.environ["LOOPBACK_HOST_URL"] = f"http://127.0.0.1:{port}"
    sys.meta_path.insert(0, Unused())
    sys.path.insert(0, str(SOURCE))

    import uvicorn
    from speaches.main import create_app  # type: ignore[import-not-found]  # not in our environment

    uvicorn.run(create_app(), host="127.0.0.1", port=int(port), log_level="warning", ws_ping_interval=None)


main()
