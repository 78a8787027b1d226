"""Voice agents' speech-to-text over the Realtime API, in an environment of its own. Prints what was heard as JSON.

python agents.py livekit|pipecat HOST:PORT KEY FILE-OF-PCM16-AT-24-KHZ
"""

# mypy: ignore-errors
import asyncio
import json
import sys
from pathlib import Path

RATE_HZ = 24_000
FRAME_BYTES = RATE_HZ // 50 * 2
WAIT_S = 40


async def livekit(address, key, pcm):
    import aiohttp
    from livekit import rtc
    from livekit.agents import stt
    from livekit.plugins import openai

    told = {"kinds": [], "interim": [], "finals": []}
    async with aiohttp.ClientSession() as session:
        engine = openai.STT(
            base_url=f"http://{address}/v1",
            api_key=key,
            model="gpt-4o-transcribe",
            use_realtime=True,
        )
        engine._session = session
        async with engine.stream() as stream:
            for at in range(0, len(pcm), FRAME_BYTES):
                frame = pcm[at : at + FRAME_BYTES]
                stream.push_frame(rtc.AudioFrame(frame, RATE_HZ, 1, len(frame) // 2))
            async for event in stream:
                told["kinds"].append(event.type.value)
                if event.type == stt.SpeechEventType.INTERIM_TRANSCRIPT:
                    told["interim"].append(event.alternatives[0].text)
                if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                    told["finals"].append(event.alternatives[0].text)
                    break
    return told


async def pipecat(address, key, pcm):
    from pipecat.frames.frames import (
        EndFrame,
        ErrorFrame,
        InputAudioRawFrame,
        InterimTranscriptionFrame,
        TranscriptionFrame,
        VADUserStoppedSpeakingFrame,
    )
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.runner import PipelineRunner
    from pipecat.pipeline.task import PipelineParams, PipelineTask
    from pipecat.processors.frame_processor import FrameProcessor
    from pipecat.services.openai.stt import OpenAIRealtimeSTTService

    told = {"kinds": [], "interim": [], "finals": []}
    heard = asyncio.Event()

    class Ear(FrameProcessor):
        async def process_frame(self, frame, direction):
            await super().process_frame(frame, direction)
            if isinstance(frame, InterimTranscriptionFrame):
                told["interim"].append(frame.text)
            elif isinstance(frame, TranscriptionFrame):
                told["finals"].append(frame.text)
                heard.set()
            elif isinstance(frame, ErrorFrame):
                told["kinds"].append(f"error: {frame.error}")
            await self.push_frame(frame, direction)

    service = OpenAIRealtimeSTTService(api_key=key, base_url=f"ws://{address}/v1/realtime")
    task = PipelineTask(Pipeline([service, Ear()]), params=PipelineParams(audio_in_sample_rate=RATE_HZ))
    running = asyncio.create_task(PipelineRunner(handle_sigint=False).run(task))
    for at in range(0, len(pcm), FRAME_BYTES):
        audio = InputAudioRawFrame(audio=pcm[at : at + FRAME_BYTES], sample_rate=RATE_HZ, num_channels=1)
        await task.queue_frame(audio)
    await task.queue_frame(VADUserStoppedSpeakingFrame())
    try:
        await asyncio.wait_for(heard.wait(), WAIT_S)
    finally:
        await task.queue_frame(EndFrame())
        await asyncio.wait_for(running, WAIT_S)
    return told


which, address, key, file = sys.argv[1:]
agent = {"livekit": livekit, "pipecat": pipecat}[which]
print(json.dumps(asyncio.run(asyncio.wait_for(agent(address, key, Path(file).read_bytes()), 2 * WAIT_S))))
