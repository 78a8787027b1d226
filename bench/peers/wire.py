"""How each server is spoken to: what opens a stream, how audio is framed, and when it is over."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from cohear_client import protocol
from livestream import Framing, binary_frame, text_frame
from speech import SAMPLE_RATE_HZ

from . import readers
from .readers import Reader

OPENAI_RATE_HZ = 24_000


def _nothing(_: dict[str, Any]) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Wire:
    """One server's stream. Websocket messages are JSON; without a `path` it is a bare TCP stream of PCM and lines."""

    reader: Callable[[], Reader]
    path: str | None = None
    hello: Callable[[int], list[str]] = lambda number: []
    """texts sent first; the argument is the stream's number"""
    ready: Callable[[dict[str, Any]], bool] | None = None
    """whether this is the message that audio has to wait for; None: audio need not wait"""
    refused: Callable[[dict[str, Any]], bool] = _nothing
    """the stream was not let in"""
    framer: Callable[[], Callable[[bytes], bytes]] = lambda: binary_frame
    """made for each stream; turns PCM16 at 16 kHz into bytes for the socket"""
    end: bytes = b""
    """bytes for the socket after the last audio"""
    done: Callable[[dict[str, Any]], bool] = _nothing
    """whether this is the last message"""
    subprotocol: str | None = None

    def framing(self) -> Framing:
        return Framing(self.framer(), self.end)


def _typed(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: message.get("type") == name


def cohear(endpoint_ms: int) -> Wire:
    start = protocol.Start(language="en", words=True, endpoint_ms=endpoint_ms)
    return Wire(
        readers.CohearReader,
        path="/v1/stream",
        hello=lambda number: [protocol.encode(start)],
        ready=lambda message: message.get("type") != "error",
        refused=_typed("error"),
        end=text_frame(protocol.encode(protocol.Stop())),
        done=_typed("done"),
        subprotocol=protocol.SUBPROTOCOL,
    )


def floor() -> Wire:
    return Wire(readers.PlainReader, path="/", end=text_frame("end"), done=lambda message: "done" in message)


def whisperlive() -> Wire:
    def hello(number: int) -> list[str]:
        options = {"uid": f"stream-{number}", "language": "en", "task": "transcribe", "model": "tiny.en"}
        return [json.dumps(options | {"use_vad": True, "audio_format": "int16", "send_last_n_segments": 10})]

    return Wire(
        readers.WhisperLiveReader,
        path="/",
        hello=hello,
        ready=lambda message: message.get("message") == "SERVER_READY",
        refused=lambda message: message.get("status") in ("WAIT", "ERROR"),
        end=b"",  # END_OF_AUDIO would end the stream without the text that is still to come
    )


def whisperlivekit() -> Wire:
    return Wire(
        readers.WhisperLiveKitReader,
        path="/asr",
        ready=_typed("config"),
        refused=_typed("error"),
        end=binary_frame(b""),
        done=_typed("ready_to_stop"),
    )


def realtimestt() -> Wire:
    return Wire(
        readers.RealtimeSttReader,
        path="/ws/transcribe",
        hello=lambda number: [json.dumps({"type": "start"})],
        ready=_typed("ready"),
        refused=lambda message: message.get("where") == "admission",
        framer=lambda: _packet,
    )


def _packet(pcm: bytes) -> bytes:
    about = json.dumps({"sampleRate": 16_000, "channels": 1, "format": "pcm_s16le"}).encode()
    return binary_frame(struct.pack("<I", len(about)) + about + pcm)


def speaches(endpoint_ms: int) -> Wire:
    session = {"turn_detection": {"type": "server_vad", "silence_duration_ms": endpoint_ms, "create_response": False}}
    return Wire(
        readers.OpenAiRealtimeReader,
        path="/v1/realtime?model=local/tiny.en&intent=transcription&language=en",
        hello=lambda number: [json.dumps({"type": "session.update", "session": session})],
        ready=_typed("session.created"),
        framer=_appender,
    )


def _appender() -> Callable[[bytes], bytes]:
    """Audio at 24 kHz, as the protocol wants it."""
    resampler = soxr.ResampleStream(SAMPLE_RATE_HZ, OPENAI_RATE_HZ, 1, dtype="int16")

    def append(pcm: bytes) -> bytes:
        samples = resampler.resample_chunk(np.frombuffer(pcm, np.int16))
        if not len(samples):  # it starts with a delay, and the server falls over nothing
            return b""
        audio = base64.b64encode(samples.tobytes()).decode()
        return text_frame(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))

    return append


def whisper_streaming() -> Wire:
    return Wire(readers.LineReader, path=None, framer=lambda: bytes)
