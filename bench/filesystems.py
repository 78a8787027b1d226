"""One run of one system over a list of files: `python bench/filesystems.py SYSTEM SETTINGS.json` prints the result.

`cohear` and `batched` (faster-whisper's BatchedInferencePipeline) run in this process; their model is loaded before the
clock starts. `cohear-cli` and `ctranslate2-cli` (whisper-ctranslate2 --batched) are commands, timed from start to exit.
Each process is fresh, so that no system inherits another one's memory or threads.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `cohear` does; the rival's own products gain by it too

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    files: tuple[str, ...]
    model_dir: str
    language: str = "en"
    batch_size: int = 8
    threads: int = 2
    workers: int = 2
    beam_size: int = 1
    command: str = ""
    """of whisper-ctranslate2"""


@dataclass(frozen=True, slots=True)
class Outcome:
    seconds: float
    cpu_s: float
    peak_mb: float
    texts: dict[str, str]


def cohear(settings: Settings) -> Outcome:
    from cohear_client.fileevents import Finished
    from cohear_server.batch.model import BatchModel
    from cohear_server.batch.options import HearingOptions
    from cohear_server.batch.pipeline import Pipeline
    from cohear_server.config import ServerConfig
    from cohear_server.live.backend import engine_options

    config = ServerConfig(device="cpu", compute_type="int8", workers=settings.workers, threads=1)
    model = BatchModel(engine_options(config, settings.model_dir))
    hearing = HearingOptions(language=settings.language, beam_size=settings.beam_size)
    backend = model.backend()
    asyncio.run(backend.start())
    run = Pipeline(backend, hearing, model.throughput())
    texts: dict[str, str] = {}

    def work() -> None:
        for event in run.run([Path(name) for name in settings.files]):
            if isinstance(event, Finished) and event.transcript is not None:
                texts[str(event.path)] = event.transcript.text

    return _timed(work, texts)


def batched(settings: Settings) -> Outcome:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    model = WhisperModel(settings.model_dir, device="cpu", compute_type="int8", cpu_threads=settings.threads)
    rival = BatchedInferencePipeline(model)
    texts: dict[str, str] = {}

    def work() -> None:
        for name in settings.files:
            segments, _ = rival.transcribe(
                name, language=settings.language, batch_size=settings.batch_size, beam_size=settings.beam_size
            )
            texts[name] = " ".join(segment.text.strip() for segment in segments)

    return _timed(work, texts)


def cohear_cli(settings: Settings) -> Outcome:
    command = [sys.executable, "-c", "import sys; from cohear_cli import main; sys.exit(main())", "transcribe"]
    command += ["--model", settings.model_dir, "--language", settings.language, "--device", "cpu", "--no-cache"]
    command += ["--compute-type", "int8", "--format", "txt", "--beam-size", str(settings.beam_size)]
    return _command(command, settings)


def ctranslate2_cli(settings: Settings) -> Outcome:
    command = [settings.command, "--model_directory", settings.model_dir, "--language", settings.language]
    command += ["--device", "cpu", "--compute_type", "int8", "--output_format", "txt", "--batched", "True"]
    command += ["--batch_size", str(settings.batch_size), "--threads", str(settings.threads)]
    command += ["--beam_size", str(settings.beam_size), "--verbose", "False"]
    return _command(command, settings)


SYSTEMS: dict[str, Callable[[Settings], Outcome]] = {
    "cohear": cohear,
    "batched": batched,
    "cohear-cli": cohear_cli,
    "ctranslate2-cli": ctranslate2_cli,
}


def run(system: str, settings: Settings) -> Outcome:
    """In a process of its own. Raises CalledProcessError where that fails."""
    command = [sys.executable, str(Path(__file__)), system, json.dumps(asdict(settings))]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"{system} failed:\n{found.stderr[-2000:]}")
    return Outcome(**json.loads(found.stdout.splitlines()[-1]))


def _timed(work: Callable[[], None], texts: dict[str, str]) -> Outcome:
    begun_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    took_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - cpu_s
    return Outcome(took_s, cpu_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, texts)


def _command(command: Sequence[str], settings: Settings) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        begun_s = time.perf_counter()
        arguments = [*command, "--output_dir", folder, *settings.files]
        subprocess.run(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
        took_s = time.perf_counter() - begun_s
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        texts = {name: (Path(folder) / f"{Path(name).stem}.txt").read_text() for name in settings.files}
    return Outcome(took_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, texts)


def _main(arguments: Sequence[str]) -> int:
    system, settings = arguments
    values: dict[str, Any] = json.loads(settings)
    print(json.dumps(asdict(SYSTEMS[system](Settings(**values)))))
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
