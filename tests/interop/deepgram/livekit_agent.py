"""Deepgram's plug-in of LiveKit Agents, as an agent uses it: livekit_agent.py ADDRESS KEY AUDIO. Prints one JSON
object."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
from livekit import rtc
from livekit.plugins import deepgram

FRAME_BYTES, PACE_S = 1_280, 0.008


async def main(address: str, key: str, audio: bytes) -> None:
    async with aiohttp.ClientSession() as session:
        stt = deepgram.STT(base_url=f"http://{address}/v1/listen", api_key=key, http_session=session)
        stream = stt.stream()

        async def speak() -> None:
            for at in range(0, len(audio), FRAME_BYTES):
                frame = audio[at : at + FRAME_BYTES]
                stream.push_frame(rtc.AudioFrame(frame, 16_000, 1, len(frame) // 2))
                await asyncio.sleep(PACE_S)
            stream.end_input()

        speaking = asyncio.create_task(speak())
        heard = [
            {"type": event.type.value, "texts": [one.text for one in event.alternatives]} async for event in stream
        ]
        await speaking
        await stream.aclose()
    print(json.dumps({"messages": heard}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes()))
