"""Deepgram's Python SDK, as its users call it; run in an environment of its own. Prints one JSON object.

client.py ADDRESS KEY AUDIO FILE: a live stream of PCM16 at 16 kHz, with all that the SDK can send, and what comes back;
a stream without a good key, and one that asks for nonsense; a whole file, and one that is none.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from websockets.exceptions import InvalidStatus

FRAME_BYTES, PACE_S = 1_280, 0.008
"""40 ms, five times as fast as it is spoken"""


def client_of(address: str, key: str) -> DeepgramClient:
    sockets, pages = f"ws://{address}", f"http://{address}"
    places = DeepgramClientEnvironment(base=pages, production=sockets, agent=sockets, agent_rest=pages)
    return DeepgramClient(api_key=key, environment=places)


def live(client: DeepgramClient, audio: bytes) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    seen: list[str] = []
    options = {"model": "nova-3", "encoding": "linear16", "sample_rate": 16_000, "language": "en-US"}
    wishes = {"interim_results": True, "punctuate": True, "vad_events": True, "utterance_end_ms": 1_000}
    with client.listen.v1.connect(**options, **wishes, endpointing=300, keyterm=["Cohear"]) as socket:
        for kind in (EventType.OPEN, EventType.CLOSE, EventType.ERROR):
            socket.on(kind, lambda _, kind=kind: seen.append(kind.value))
        socket.on(EventType.MESSAGE, lambda message: messages.append(message.dict()))
        reader = threading.Thread(target=socket.start_listening, daemon=True)
        reader.start()
        socket.send_keep_alive()
        for at in range(0, len(audio), FRAME_BYTES):
            socket.send_media(audio[at : at + FRAME_BYTES])
            time.sleep(PACE_S)
        socket.send_finalize()
        socket.send_close_stream()
        reader.join(30)
    return {"messages": messages, "seen": seen, "ended": not reader.is_alive()}


def whole(client: DeepgramClient, file: bytes) -> dict[str, Any]:
    told = client.listen.v1.media.transcribe_file(request=file, model="nova-3", smart_format=True, utterances=True)
    return dict(told.dict())


def unheard(client: DeepgramClient) -> int | None:
    try:
        client.listen.v1.media.transcribe_file(request=b"this is no audio", model="nova-3")
    except ApiError as fault:
        return None if fault.status_code is None else int(fault.status_code)
    return None


def refused(client: DeepgramClient, **options: Any) -> int | None:
    """The status in the error: the SDK's own, or, of its synchronous client, the websocket library's."""
    try:
        with client.listen.v1.connect(model="nova-3", **options):
            return None
    except ApiError as fault:
        return None if fault.status_code is None else int(fault.status_code)
    except InvalidStatus as fault:
        return fault.response.status_code


def main() -> None:
    address, key, path, file = sys.argv[1:]
    client = client_of(address, key)
    told = live(client, Path(path).read_bytes())
    told["file"] = whole(client, Path(file).read_bytes())
    told["no_file"] = unheard(client)
    told["bad_key"] = refused(client_of(address, "wrong"), encoding="linear16", sample_rate=16_000)
    told["bad_request"] = refused(client, encoding="linear16", sample_rate=5)
    print(json.dumps(told, default=str))


if __name__ == "__main__":
    main()
