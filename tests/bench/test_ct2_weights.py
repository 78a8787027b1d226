from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from cohear_server.models.catalog import find_model
from cohear_server.models.sources import SourceOptions
from ct2_weights import FORMAT, read_weights


def _text(text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("<H", len(data)) + data


def _variable(name: str, kind: int, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    shape = b"".join(struct.pack("<I", size) for size in values.shape)
    data = values.tobytes()
    return _text(name) + struct.pack("<B", values.ndim) + shape + struct.pack("<BI", kind, len(data)) + data


def _model(path: Path, *variables: bytes, version: int = FORMAT) -> Path:
    head = struct.pack("<I", version) + _text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    path.write_bytes(head + b"".join(variables) + struct.pack("<I", 0))
    return path


def test_float_weights_of_the_decoder_are_read(tmp_path: Path) -> None:
    half, whole = np.arange(6, dtype=np.float16).reshape(2, 3), np.ones(2, np.float32)
    path = _model(
        tmp_path / "model.bin",
        _variable("encoder/conv1/bias", 0, whole),
        _variable("decoder/num_heads", 2, np.array(6, np.int16)),
        _variable("decoder/layer_0/weight", 4, half),
        _variable("decoder/layer_0/bias", 0, whole),
    )
    weights = read_weights(path)
    assert list(weights) == ["decoder/layer_0/weight", "decoder/layer_0/bias"]
    assert weights["decoder/layer_0/weight"].tolist() == half.tolist()


@pytest.mark.parametrize(("kind", "version", "said"), [(1, FORMAT, "quantized"), (0, 5, "format 6")])
def test_others_are_refused(tmp_path: Path, kind: int, version: int, said: str) -> None:
    path = _model(tmp_path / "model.bin", _variable("decoder/w", kind, np.zeros(4, np.int8)), version=version)
    with pytest.raises(ValueError, match=said):
        read_weights(path)


def test_a_real_model_has_all_that_a_decoder_needs() -> None:
    weights = read_weights(find_model("tiny.en", options=SourceOptions()).directory / "model.bin")
    assert weights["decoder/embeddings/weight"].shape == (51_864, 384)
    assert weights["decoder/layer_3/attention/linear_1/weight"].shape == (768, 384)
    assert weights["decoder/layer_norm/gamma"].dtype == np.float32
