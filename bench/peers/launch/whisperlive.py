"""Starts WhisperLive, whose package brings no start script. Runs in its environment: PORT MODEL CORES."""

from __future__ import annotations

import sys

from whisper_live.server import TranscriptionServer  # type: ignore[import-not-found]  # not in our environment

NO_LIMIT = 1_000_000


def main() -> None:
    TranscriptionServer().run(
        "127.0.0.1",
        port=int(sys.argv[1]),
        backend="faster_whisper",
        faster_whisper_custom_model_path=sys.argv[2],
        max_clients=NO_LIMIT,
        max_connection_time=NO_LIMIT,
        batch_enabled=True,
        batch_max_queue_wait_s=NO_LIMIT,
        batch_max_admissions_per_s=NO_LIMIT,
    )


main()
