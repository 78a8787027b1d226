"""Client library of Cohear, the streaming speech transcription service.

    async with connect("ws://127.0.0.1:8765", language="en") as stream:
        await stream.send(pcm)
        await stream.stop()
        async for event in stream:
            ...

`connect_sync` and `transcribe_file` are the same without asyncio; every event is a struct of
`cohear_client.protocol`, every failure a `CohearError`. Names are imported when first used, so that
the command line and the server, which need only the protocol, start without numpy or websockets.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .connection import DEFAULT_URL, connect
    from .conversation import Connect, converse, transcribe
    from .errors import ClientError, CohearError, OverloadError, ServerError
    from .files import AudioFile
    from .mic import Microphone
    from .pacing import paced
    from .protocol import Done, Final, Partial, Ready, ServerMessage, Start, Stats, Word
    from .stream import AudioStream, Stream
    from .sync import SyncStream, connect_sync, transcribe_file
    from .transcript import Transcript, TranscriptBuilder

_MODULES = {
    "connection": "DEFAULT_URL connect",
    "conversation": "Connect converse transcribe",
    "errors": "ClientError CohearError OverloadError ServerError",
    "files": "AudioFile",
    "mic": "Microphone",
    "pacing": "paced",
    "protocol": "Done Final Partial Ready ServerMessage Start Stats Word",
    "stream": "AudioStream Stream",
    "sync": "SyncStream connect_sync transcribe_file",
    "transcript": "Transcript TranscriptBuilder",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "DEFAULT_URL",
    "AudioFile",
    "AudioStream",
    "ClientError",
    "CohearError",
    "Connect",
    "Done",
    "Final",
    "Microphone",
    "OverloadError",
    "Partial",
    "Ready",
    "ServerError",
    "ServerMessage",
    "Start",
    "Stats",
    "Stream",
    "SyncStream",
    "Transcript",
    "TranscriptBuilder",
    "Word",
    "connect",
    "connect_sync",
    "converse",
    "paced",
    "transcribe",
    "transcribe_file",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
