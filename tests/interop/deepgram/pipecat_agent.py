"""Deepgram's service of Pipecat in a pipeline: pipecat_agent.py ADDRESS KEY AUDIO. Prints one JSON object."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from pipecat.frames.frames import InputAudioRawFrame, InterimTranscriptionFrame, TranscriptionFrame
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.tests.utils import SleepFrame, run_test

FRAME_BYTES, PACE_S = 1_280, 0.008


async def main(address: str, key: str, audio: bytes) -> None:
    service = DeepgramSTTService(api_key=key, base_url=f"ws://{address}", sample_rate=16_000)
    frames = [SleepFrame(1.0)]
    for at in range(0, len(audio), FRAME_BYTES):
        frames += [InputAudioRawFrame(audio[at : at + FRAME_BYTES], 16_000, 1), SleepFrame(PACE_S)]
    down, _ = await run_test(service, frames_to_send=[*frames, SleepFrame(3.0)])
    kinds = {TranscriptionFrame: "final", InterimTranscriptionFrame: "interim"}
    heard = [{"type": kinds[type(frame)], "texts": [frame.text]} for frame in down if type(frame) in kinds]
    print(json.dumps({"messages": heard}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes()))
