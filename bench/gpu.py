"""How many live streams a GPU carries, with a model that has large-v3-turbo's shape and random weights.

    python bench/gpu.py --speech DIR [--shape large-v3-turbo] [--compute-type float16] [--out bench/results/gpu.json]
                        [--plot docs/images/gpu.png]

First the engine alone: audio seconds a second by window length and batch size, short and padded to 30 s. Then live
streams, more and more until the promise of `capacity.py` breaks. The speed is real: every layer has its true size.
Random weights never end a text, so each text fills the token cap, which is set to the length of fluent speech. The text
itself is noise: the rules that judge text are off, and word error means nothing. `--device cpu --shape tiny` tries the
script on a machine without a GPU.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `cohear` does; idle threads of numpy would count as cost

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from capacity import MODES, PROMISE, Search, broken, show
from capacityplot import plot
from cohear_server.app import addresses, create_app, make_server
from cohear_server.config import ServerConfig
from cohear_server.core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeOptions, JobKind
from cohear_server.engine.engine import WhisperEngine
from cohear_server.engine.guard import GuardOptions
from cohear_server.engine.local import LocalBackend
from cohear_server.engine.options import EngineOptions
from cohear_server.engine.profile import Profile, write_profile
from cohear_server.engine.tail import MAX_STATES, TailStates
from cohear_server.live.service import Service
from load import LoadOptions, add_load_arguments, load_options, measure, settings
from process import Server
from random_model import SHAPES, Shape, save_random_model
from speech import circumstances, write_result

NAME = "random"
TOKENS_PER_S, TOKENS_FLOOR = 4.0, 2
"""fluent English, and a little more for punctuation"""
LENGTHS_S = (2, 4, 8)
BATCHES = (1, 8, 16, 32, 64, 128)
LENIENT = GuardOptions(no_speech_prob=2.0, unsure_logprob=-1e9, loop_tokens=10_000, unlikely_logprob=-1e9)
"""no rule may doubt random text: it would be decoded a second time"""
PUBLISHED = {"Whisper large-v3-turbo, other servers": "20-40", "native streaming models": "400-560"}
"""live streams on an H100-class GPU, as published"""


def main() -> int:
    args = _parse()
    if args.serve:
        asyncio.run(_serve(args.serve, args))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder), SHAPES[args.shape], args.compute_type)
        rows = raw(model, args)
        result: dict[str, Any] = {"benchmark": "gpu", **circumstances(), "device": args.device, "shape": args.shape}
        result |= {
            "gpu": gpu_name(),
            "compute_type": args.compute_type,
            "engine": rows,
            "published": PUBLISHED,
            "promise": PROMISE,
        }
        load = replace(load_options(args), words=False)
        result |= {"settings": settings(load), "modes": {}}
        for mode in args.modes:
            result["modes"][mode] = streams(model, args, replace(load, speech_share=MODES[mode]))
            if args.out:
                write_result(args.out, result)
        if args.plot:
            plot(result, args.plot)
    return 0


def make_model(folder: Path, shape: Shape, compute_type: str) -> Path:
    """The model's folder; the profile that lets it use short windows lies beside it."""
    quantization = {"float16": "float16", "int8_float16": "int8_float16", "int8": "int8"}.get(compute_type)
    save_random_model(folder / NAME, shape, quantization)
    tail = TailStates(np.zeros((MAX_STATES, shape.width), np.float32), 0)
    profile = Profile(
        NAME, "", True, 500, 150, 20.0, TOKENS_PER_S, TOKENS_FLOOR, tail, "made up: for measuring speed alone"
    )
    write_profile(folder / "profiles" / NAME, profile, {})
    return folder / NAME


def engine_options(model: Path, args: argparse.Namespace) -> EngineOptions:
    return EngineOptions(
        NAME,
        model,
        device=args.device,
        compute_type=args.compute_type,
        workers=args.workers,
        threads=1,
        profile_dir=model.parent / "profiles",
    )


def raw(model: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Audio seconds a second of the engine alone, by window length and batch size; short and padded."""
    noise = np.random.default_rng(2).normal(0, 2_000, 30 * SAMPLE_RATE_HZ).astype(np.int16)
    engines = {
        "short": WhisperEngine(engine_options(model, args), LENIENT),
        "padded": WhisperEngine(engine_options(model, args), LENIENT, use_profile=False),
    }
    rows = []
    for seconds in LENGTHS_S:
        for batch in args.batches:
            for kind, engine in engines.items():
                jobs = [_job(i, noise[: seconds * SAMPLE_RATE_HZ]) for i in range(batch)]
                engine.decode(jobs)  # warm: the GPU's kernels are chosen by shape
                times = []
                for _ in range(args.repeats):
                    begun_s = time.perf_counter()
                    engine.decode(jobs)
                    times.append(time.perf_counter() - begun_s)
                rate = seconds * batch / float(np.median(times))
                spread = (max(times) - min(times)) / float(np.median(times))
                rows.append({"window_s": seconds, "batch": batch, "kind": kind, "audio_s_per_s": round(rate, 1)})
                rows[-1] |= {"ms": round(1000 * float(np.median(times)), 1), "spread": round(spread, 2)}
                print(rows[-1], flush=True)
    return rows


def _job(number: int, pcm: Any) -> DecodeJob:
    return DecodeJob(str(number), "", "", 0, pcm, JobKind.PARTIAL, 1.0, DecodeOptions(NAME, "en"))


def streams(model: Path, args: argparse.Namespace, load: LoadOptions) -> dict[str, Any]:
    """The most live streams at the promise, and the load reports on the way."""

    def probe(count: int) -> dict[str, Any]:
        with _served(model, args) as server:
            ramp_s = max(load.ramp_s, 0.05 * count)
            report = measure(replace(load, streams=count, ramp_s=ramp_s, url=server.url, server_pid=server.pid))
        report["broken"] = broken(report)
        show(report)
        return report

    search = Search(probe, args.most, args.precision)
    capacity = search.run(args.first)
    points = [search.reports[n] for n in sorted(search.reports)]
    return {"capacity": capacity, "speech_share_of_clips": load.speech_share, "points": points}


@contextlib.contextmanager
def _served(model: Path, args: argparse.Namespace) -> Iterator[Server]:
    flags = ["--device", args.device, "--compute-type", args.compute_type, "--workers", str(args.workers)]
    flags += ["--max-batch", str(args.max_batch), "--speech", str(args.speech), "--serve", str(model)]
    with subprocess.Popen([sys.executable, __file__, *flags], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        if not url:
            raise SystemExit("the server did not start")
        try:
            yield Server(url, server.pid)
        finally:
            server.terminate()
            server.wait()


async def _serve(model: Path, args: argparse.Namespace) -> None:
    """Cohear around the random model, on a free port, until it is terminated."""
    config = ServerConfig(
        port=0, max_streams=10_000, max_batch=args.max_batch, max_batch_s=10.0 * args.max_batch, admission=False
    )
    service = Service(config, LocalBackend(engine_options(model, args), LENIENT))
    server = make_server(create_app(service), config)
    async with service.running(), asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.05)
        print(f"ws://{addresses(server, config)[0]}", flush=True)
        await serving


def gpu_name() -> str | None:
    """As the driver names it; None without one."""
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        return subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    add_load_arguments(parser)
    parser.add_argument("--shape", choices=list(SHAPES), default="large-v3-turbo", help="(default: %(default)s)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="(default: %(default)s)")
    parser.add_argument("--compute-type", default="float16", help="float16, int8_float16, int8 (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="batches in the GPU at once (default: %(default)s)")
    parser.add_argument("--max-batch", type=int, default=64, help="windows a batch (default: %(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES), help="of the raw engine")
    parser.add_argument("--repeats", type=int, default=5, help="of the raw engine (default: %(default)s)")
    parser.add_argument("--modes", nargs="*", choices=list(MODES), default=["continuous"], help="how people speak")
    parser.add_argument("--first", type=int, default=64, help="streams of the first probe (default: %(default)s)")
    parser.add_argument("--most", type=int, default=2048, help="never more streams (default: %(default)s)")
    parser.add_argument("--precision", type=float, default=0.1, help="of the capacity (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="result file")
    parser.add_argument("--plot", type=Path, help="picture")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
