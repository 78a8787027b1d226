"""Silero's network of speech detection: found and loaded once, for all streams and files.

The only module that knows onnxruntime; what its probabilities mean is `core.vad`'s. onnxruntime tells its maker of its
use unless it is told not to (`cohear_server/__init__.py` does).
"""

from __future__ import annotations

import functools
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..errors import ServerError

Array = NDArray[np.float32]

FILE_NAME = "silero_vad_v6.onnx"


class OnnxNetwork:
    """Silero v6 on one thread; safe to call from several."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(self, windows: Array, memory: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        """float32 [n, 576] of -1..1 and what was remembered -> probability [n], and what to remember."""
        hidden, cell = memory
        found, hidden, cell = self._session.run(None, {"input": windows, "h": hidden, "c": cell})
        return np.asarray(found, np.float32).reshape(-1), (hidden, cell)


@functools.cache
def load_silero() -> OnnxNetwork:
    """The network that faster-whisper ships, found through its metadata. Raises ServerError(`no_vad`)."""
    files = metadata.files("faster-whisper") or []
    path = next((Path(str(file.locate())) for file in files if file.name == FILE_NAME), None)
    if path is None or not path.is_file():
        raise ServerError("no_vad", "Silero's network is missing", "reinstall faster-whisper, or choose vad = webrtc")
    return OnnxNetwork(path)
