"""The servers that are compared: what is installed, how each is started, and what counts as its final.

All use the same folder of weights and the cores of this machine, without network. Where a server has settings that
trade latency for capacity, the ones with which it was best here are used and listed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from process import COHEAR

from . import wire
from .wire import Wire

HOME = Path("~/.cache/cohear-bench").expanduser()
LAUNCH = Path(__file__).parent / "launch"
ENDPOINT_MS = 500
CORES = str(os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Command:
    """A process to start, and the port that it then answers on."""

    port: int
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rival:
    name: str
    title: str
    version: str
    settings: str
    final: str
    """what counts as its final"""
    wire: Wire
    command: Callable[[int, Path], Command]
    """from a free port and the folder of the weights"""
    pins: tuple[str, ...] = ()
    """pip requirements of its environment; none: Cohear's own environment"""
    alone: tuple[str, ...] = ()
    """installed without their dependencies"""
    one_stream: bool = False
    """a process serves only one stream, so each stream has its own process"""
    judged: str = "settled_where_ended"
    """the measure that counts as its final"""
    source: str | None = None
    """where to get it, if no package index has it"""
    frames_ms: tuple[int, ...] = (20, 40, 100)
    """streams take them in turn"""
    newer_python: bool = False
    """its source is for Python 3.12 and is rewritten for 3.11"""
    endpoint_ms: float = ENDPOINT_MS

    @property
    def python(self) -> str:
        return str(HOME / self.name / "bin" / "python") if self.pins else sys.executable


TORCH = "torch==2.13.0"


def _cohear(port: int, model: Path) -> Command:
    options = ["--model", str(model), "--max-streams", "10000", "--no-admission", "--workers", CORES]
    ours = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    return Command(port, [str(COHEAR), "serve", "--port", str(port), *options], ours)


def _launch(name: str, script: str) -> Callable[[int, Path], Command]:
    python = str(HOME / name / "bin" / "python")
    return lambda port, model: Command(port, [python, str(LAUNCH / script), str(port), str(model), CORES])


def _floor(port: int, model: Path) -> Command:
    return Command(port, [sys.executable, str(LAUNCH / "floor.py"), str(port), str(model), CORES, str(ENDPOINT_MS)])


def _whisperlivekit(port: int, model: Path) -> Command:
    options = ["--model_dir", str(model), "--backend", "faster-whisper", "--backend-policy", "localagreement"]
    options += ["--lan", "en", "--pcm-input", "--warmup-file", "", "--log-level", "WARNING"]
    start = [str(HOME / "whisperlivekit" / "bin" / "wlk"), "--host", "127.0.0.1", "--port", str(port)]
    return Command(port, [*start, *options])


def _realtimestt(port: int, model: Path) -> Command:
    options = ["--model", str(model), "--realtime-model", str(model), "--device", "cpu", "--compute-type", "int8"]
    options += ["--use-main-model-for-realtime", "--beam-size", "1", "--beam-size-realtime", "1"]
    options += ["--batch-size", "0", "--realtime-batch-size", "0", "--language", "en"]
    options += ["--post-speech-silence-duration", str(ENDPOINT_MS / 1000), "--log-level", "WARNING"]
    options += ["--early-transcription-on-silence", "0.2"]
    options += ["--max-sessions", "1000", "--max-active-speakers", "1000"]
    python = str(HOME / "realtimestt" / "bin" / "python")
    start = [python, "-m", "example_fastapi_server.server", "--host", "127.0.0.1", "--port", str(port)]
    return Command(port, [*start, *options])


UNCHANGED = (
    "it has no end of speech; in its favour: the moment from which the whole utterance was shown and did not change "
    "within 3 s of its end"
)
ITS_OWN = (
    "where it found the end of speech: its final event or, in its favour, the earlier moment from which the whole "
    "utterance was shown and did not change within 3 s of its end"
)

RIVALS: dict[str, Rival] = {
    rival.name: rival
    for rival in (
        Rival(
            "cohear",
            "Cohear",
            "this checkout",
            f"`cohear serve`, endpoint {ENDPOINT_MS} ms, {CORES} workers, word times on, no admission limit",
            "its final event where it found the end of speech, and nothing earlier",
            wire.cohear(ENDPOINT_MS),
            _cohear,
            judged="final_where_ended",
        ),
        Rival(
            "whisperlive",
            "WhisperLive",
            "0.10.0",
            "cross-client batching on (window 50 ms, up to 16, beam 1), one shared model, speech detection on, "
            f"OMP_NUM_THREADS={CORES} (faster here than its 1), int16 audio, all admission limits lifted",
            UNCHANGED,
            wire.whisperlive(),
            _launch("whisperlive", "whisperlive.py"),
            judged="settled",
            pins=(
                *(TORCH, "faster-whisper==1.2.1", "websockets==17.4", "scipy==1.17.1", "fastapi==0.165.0"),
                *("uvicorn==0.54.0", "python-multipart==0.0.34", "prometheus-client==0.26.0", "soundfile==0.14.0"),
            ),
            alone=("whisper-live==0.10.0",),
        ),
        Rival(
            "floor",
            "faster-whisper, plainly",
            "1.2.1",
            "`bench/peers/launch/floor.py`, the plainest server on top of it: Silero speech detection, each stream's "
            "running segment decoded again and again in turn, beam 1, one model on all cores; a final after "
            f"{ENDPOINT_MS} ms of silence or 25 s of speech",
            ITS_OWN,
            wire.floor(),
            _floor,
        ),
        Rival(
            "whisperlivekit",
            "WhisperLiveKit",
            "0.2.26",
            "LocalAgreement on faster-whisper (AlignAtt needs weights that are not CTranslate2's), PCM input, its "
            "voice controller on; beam 5 and word times are fixed in it",
            UNCHANGED,
            wire.whisperlivekit(),
            _whisperlivekit,
            judged="settled",
            pins=(TORCH, "whisperlivekit==0.2.26"),
        ),
        Rival(
            "realtimestt",
            "RealtimeSTT, its multi-user server",
            "1.1.2",
            "faster-whisper for partials and finals on one model, beam 1, not batched, silence "
            f"{ENDPOINT_MS} ms, finals begun early at 200 ms as is its default, session limits lifted",
            ITS_OWN,
            wire.realtimestt(),
            _realtimestt,
            pins=(
                *(TORCH, "faster-whisper==1.2.1", "silero-vad==6.2.3", "onnxruntime==1.32.0", "fastapi==0.165.0"),
                *("uvicorn[standard]==0.54.0", "webrtcvad-wheels==2.0.14.post1", "scipy==1.17.1", "soundfile==0.14.0"),
                *("colorama==0.4.6", "halo==0.0.31", "websocket-client==1.9.0", "websockets==16.0"),
            ),
            alone=("realtimestt==1.1.2",),
        ),
        Rival(
            "whisper_streaming",
            "whisper_streaming",
            "commit 1f25a1a",
            "a process for each stream, as it serves one only; faster-whisper int8, voice controller on, chunks of "
            "0.5 s; beam 5 and word times are fixed in it",
            "the line with the utterance's last word; all lines are final",
            wire.whisper_streaming(),
            _launch("whisper_streaming", "whisper_streaming.py"),
            pins=(TORCH, "faster-whisper==1.2.1", "librosa==0.11.0", "soundfile==0.14.0", "silero-vad==6.2.3"),
            one_stream=True,
            judged="settled",
            source="github:ufal/whisper_streaming",
        ),
        Rival(
            "speaches",
            "speaches",
            "commit 870e1e1",
            f"`/v1/realtime` for transcription, server VAD with {ENDPOINT_MS} ms of silence, int8; frames of 100 ms "
            "only, as it examines the last 3 s anew with each; it has no partials",
            ITS_OWN,
            wire.speaches(ENDPOINT_MS),
            _launch("speaches", "speaches.py"),
            pins=(  # as its own lock has them
                *("faster-whisper==1.1.1", "ctranslate2==4.5.0", "numpy==2.3.1", "onnxruntime==1.24.4", "av==15.1.0"),
                *("fastapi==0.121.1", "starlette==0.41.3", "uvicorn[standard]==0.35.0", "python-multipart==0.0.20"),
                *("pydantic==2.11.7", "pydantic-settings==2.10.1", "openai[realtime]==2.29.0", "websockets==14.2"),
                *("httpx==0.28.1", "httpx-ws==0.7.2", "httpx-sse==0.4.1", "huggingface-hub==0.35.3", "requests"),
                *("aiostream==0.7.0", "cachetools==6.1.0", "soundfile==0.13.1", "tokenizers==0.20.1"),
                *("opentelemetry-api==1.40.0", "opentelemetry-sdk==1.40.0", "setuptools==80.9.0"),
            ),
            newer_python=True,
            frames_ms=(100,),
            source="github:speaches-ai/speaches",
        ),
    )
}
