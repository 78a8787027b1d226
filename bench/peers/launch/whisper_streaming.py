"""Starts whisper_streaming's server on the CPU and without network: PORT MODEL CORES. Runs in its environment.

Its device and compute type are written in its code, and its speech detector comes from a hub: both are replaced here,
the detector by the same one from its package.
"""

from __future__ import annotations

import runpy
import sys
import wave
from pathlib import Path
from typing import Any

import faster_whisper
import silero_vad  # type: ignore[import-not-found]  # not in this environment
import torch  # type: ignore[import-not-found]

SOURCE = Path(sys.executable).parents[1] / "source"
CHUNK_S = 0.5
CORES = int(sys.argv[3])


class OnCpu(faster_whisper.WhisperModel):  # type: ignore[misc]
    def __init__(self, folder: str, **_: Any) -> None:
        super().__init__(folder, device="cpu", compute_type="int8", cpu_threads=CORES)


def main() -> None:
    port, model = sys.argv[1:3]
    faster_whisper.WhisperModel = OnCpu
    torch.set_num_threads(1)
    torch.hub.load = lambda *_, **__: (silero_vad.load_silero_vad(), None)
    with wave.open("warm-up.wav", "wb") as quiet:
        quiet.setparams((1, 2, 16_000, 0, "NONE", ""))
        quiet.writeframes(bytes(64_000))
    sys.path.insert(0, str(SOURCE))
    sys.argv = ["whisper_online_server.py", "--host", "127.0.0.1", "--port", port, "--model_dir", model]
    sys.argv += ["--model", "tiny.en", "--lan", "en", "--backend", "faster-whisper", "--vac"]
    sys.argv += ["--min-chunk-size", str(CHUNK_S), "--warmup-file", "warm-up.wav", "-l", "WARNING"]
    runpy.run_path(str(SOURCE / "whisper_online_server.py"), run_name="__main__")


main()
