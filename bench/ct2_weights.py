"""Reads a decoder's weights from the model.bin of a CTranslate2 folder (format 6), for training by gradients."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FORMAT = 6
FLOATS = {0: np.float32, 4: np.float16}
"""type number in the file -> numpy type"""


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """Arrays by name; scalars are left out. Raises ValueError for another format, or for quantized weights."""
    data = memoryview(path.read_bytes())
    at = 0

    def take(kind: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from("<" + kind, data, at)
        at += struct.calcsize(kind)
        return int(value)

    def text() -> str:
        nonlocal at
        size = take("H")
        at += size
        return bytes(data[at - size : at]).rstrip(b"\0").decode()

    if take("I") != FORMAT:
        raise ValueError(f"{path} is no model.bin of format {FORMAT}")
    text()  # WhisperSpec
    take("I")  # its revision
    weights: dict[str, NDArray[np.float32]] = {}
    for _ in range(take("I")):
        name = text()
        shape = [take("I") for _ in range(take("B"))]
        kind, size = take("B"), take("I")
        if name.startswith("decoder/") and shape:
            if kind not in FLOATS:
                raise ValueError(f"{path}: {name} is quantized; training needs float16 or float32 weights")
            values = np.frombuffer(data[at : at + size], FLOATS[kind]).reshape(shape)
            weights[name] = values.astype(np.float32)
        at += size
    return weights
