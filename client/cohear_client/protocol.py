"""The native wire, version 1: every message, once.

One websocket carries one stream. Text frames are JSON objects with a `type`; binary frames are
audio in the encoding that `start` names. The client speaks first (`start`), the server answers
`ready` or `error`. Sample counts on the wire are in the client's own rate, per channel; times
(`_s`) are seconds of audio since the first sample. `docs/protocol.md` shows each message.

Both packages import this module; it needs nothing but the standard library.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from .codec import build, plain
from .errors import ClientError, CohearError, OverloadError, ServerError

SUBPROTOCOL = "cohear.v1"
PATH = "/v1/stream"
MAX_FRAME_BYTES = 1 << 20
"""Largest binary frame: over 30 s of 16 kHz PCM16. Larger ones are refused, not split."""

Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]
Task = Literal["transcribe", "translate"]
Reason = Literal["endpoint", "max_length", "finalize", "stop"]

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
MIN_RATE_HZ, MAX_RATE_HZ, MAX_CHANNELS = 8_000, 48_000, 8
MIN_ENDPOINT_MS, MAX_ENDPOINT_MS = 100, 5_000
MAX_PROMPT_CHARS = 1_000

# Websocket close codes (RFC 6455 section 7.4, 1013 from the IANA registry).
CLOSE_NORMAL, CLOSE_GOING_AWAY, CLOSE_CLIENT_FAULT, CLOSE_SERVER_FAULT, CLOSE_TRY_LATER = (
    1000,
    1001,
    1008,
    1011,
    1013,
)


# --- shared parts ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a hypothesis; `confidence` is the probability that it is right, 0..1."""

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Where one event's latency went, in ms; the stages add up to `total_ms`.

    The clock starts when the last audio frame that the event needed came in from the socket.
    """

    receive_ms: float = 0.0
    """read from the socket -> taken up by the session"""
    vad_ms: float = 0.0
    """decoding, resampling and speech detection, up to the decode job"""
    queue_ms: float = 0.0
    """waiting until the scheduler put it in a batch"""
    batch_wait_ms: float = 0.0
    """waiting until the engine began on the batch"""
    decode_ms: float = 0.0
    """in the engine"""
    stabilise_ms: float = 0.0
    """from hypothesis to event, waiting for earlier segments of the stream included"""
    emit_ms: float = 0.0
    """waiting for the socket"""
    batch_size: int = 0
    window_s: float = 0.0

    @property
    def total_ms(self) -> float:
        waiting = self.receive_ms + self.vad_ms + self.queue_ms + self.batch_wait_ms
        return waiting + self.decode_ms + self.stabilise_ms + self.emit_ms


@dataclass(frozen=True, slots=True)
class SampleCount:
    """What became of each sample: `transcribed + silent + shed == received` once a stream is done."""

    received: int = 0
    transcribed: int = 0
    silent: int = 0
    shed: int = 0


@dataclass(frozen=True, slots=True)
class Resume:
    """Asks for a session that lost its connection: who, the proof, and the last event that came."""

    session_id: str
    token: str
    last_seq: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What this server holds a stream to."""

    max_frame_bytes: int = MAX_FRAME_BYTES
    max_segment_s: float = 0.0
    idle_timeout_s: float = 0.0
    resume_window_s: float = 0.0


# --- client to server -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """First message: what the audio is and what is wanted. None means the server's default."""

    TYPE: ClassVar[str] = "start"
    sample_rate: int = 16_000
    encoding: Encoding = "pcm_s16le"
    channels: int = 1
    language: str | None = None
    task: Task = "transcribe"
    model: str | None = None
    partials: bool = True
    words: bool = True
    endpoint_ms: int | None = None
    prompt: str | None = None
    resume: Resume | None = None

    def __post_init__(self) -> None:
        _within("sample_rate", self.sample_rate, MIN_RATE_HZ, MAX_RATE_HZ)
        _within("channels", self.channels, 1, MAX_CHANNELS)
        if self.encoding not in ENCODINGS:
            raise _bad("encoding", self.encoding, f"use one of {', '.join(ENCODINGS)}")
        _check_options(self.endpoint_ms, self.prompt)


@dataclass(frozen=True, slots=True)
class Configure:
    """Changes options from here on; None leaves one as it is."""

    TYPE: ClassVar[str] = "configure"
    language: str | None = None
    task: Task | None = None
    partials: bool | None = None
    words: bool | None = None
    endpoint_ms: int | None = None
    prompt: str | None = None

    def __post_init__(self) -> None:
        _check_options(self.endpoint_ms, self.prompt)


@dataclass(frozen=True, slots=True)
class Finalize:
    """Make everything sent so far final now; answered by `finalized` with the same id."""

    TYPE: ClassVar[str] = "finalize"
    id: str = ""


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Nothing to send, but still here."""

    TYPE: ClassVar[str] = "keepalive"


@dataclass(frozen=True, slots=True)
class Stop:
    """No more audio: remaining finals follow, then `done`."""

    TYPE: ClassVar[str] = "stop"


# --- server to client -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """The stream is accepted; audio counts from `next_sample` on."""

    TYPE: ClassVar[str] = "ready"
    session_id: str
    token: str
    model: str
    limits: Limits = field(default_factory=Limits)
    next_sample: int = 0


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    TYPE: ClassVar[str] = "speech_started"
    at_s: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    TYPE: ClassVar[str] = "speech_ended"
    at_s: float


@dataclass(frozen=True, slots=True)
class Partial:
    """What is understood so far of a segment that is still being spoken.

    `stable` only ever grows within a segment; `volatile` may change with the next partial. The final
    is decoded from the whole segment and has the last word.
    """

    TYPE: ClassVar[str] = "partial"
    seq: int
    segment_id: int
    revision: int
    stable: str
    volatile: str
    confidence: float
    audio_end_s: float
    timing: Timing
    words: tuple[Word, ...] | None = None


@dataclass(frozen=True, slots=True)
class Final:
    """A finished segment; sent once. `rules` names each anti-hallucination rule that altered the text."""

    TYPE: ClassVar[str] = "final"
    seq: int
    segment_id: int
    text: str
    confidence: float
    language: str
    start_s: float
    end_s: float
    reason: Reason
    model: str
    timing: Timing
    words: tuple[Word, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refined:
    """A better text for a final sent earlier, and the model that gave it."""

    TYPE: ClassVar[str] = "refined"
    seq: int
    segment_id: int
    text: str
    confidence: float
    model: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Finalized:
    """Every final of the audio sent before `finalize` has been sent."""

    TYPE: ClassVar[str] = "finalized"
    id: str


@dataclass(frozen=True, slots=True)
class Stats:
    """How the stream fares: arrival jitter (RFC 3550), audio not settled yet, and each sample's fate.

    Audio before `settled_s` is final or silent: no session has to hear it again.
    """

    TYPE: ClassVar[str] = "stats"
    jitter_ms: float
    lag_s: float
    drift_ppm: float
    gaps: int
    samples: SampleCount
    settled_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Warning:
    """Something is less than promised, but the stream goes on. With `start_s` and `end_s`: what audio it is about."""

    TYPE: ClassVar[str] = "warning"
    code: str
    message: str
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Error:
    """Something failed. When `fatal`, remaining finals and `done` still follow, then the close.

    With `start_s` and `end_s`: this audio has no text, and will have none.
    """

    TYPE: ClassVar[str] = "error"
    code: str
    message: str
    remedy: str = ""
    fatal: bool = True
    retry_after_s: float | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """The server is about to close this connection; a session can be resumed elsewhere or later."""

    TYPE: ClassVar[str] = "closing"
    reason: str
    reconnect_after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """The last message of a stream that ended in order."""

    TYPE: ClassVar[str] = "done"
    samples: SampleCount
    segments: int


ClientMessage = Start | Configure | Finalize | KeepAlive | Stop
ServerMessage = (
    Ready
    | SpeechStarted
    | SpeechEnded
    | Partial
    | Final
    | Refined
    | Finalized
    | Stats
    | Warning
    | Error
    | Closing
    | Done
)
_CLIENT: dict[str, Any] = {m.TYPE: m for m in get_args(ClientMessage)}
_SERVER: dict[str, Any] = {m.TYPE: m for m in get_args(ServerMessage)}


def encode(message: ClientMessage | ServerMessage) -> str:
    """The text frame of a message."""
    return json.dumps({"type": message.TYPE, **plain(message)}, ensure_ascii=False, separators=(",", ":"))


def decode_client(text: str) -> ClientMessage:
    """What a client said. Raises ClientError (`bad_json`, `unknown_type`, `bad_field`)."""
    message: ClientMessage = _decode(text, _CLIENT, strict=True)
    return message


def decode_server(text: str) -> ServerMessage:
    """What a server said; fields that this version does not know are skipped. Raises ClientError."""
    message: ServerMessage = _decode(text, _SERVER, strict=False)
    return message


def error_message(fault: CohearError, *, fatal: bool = True) -> Error:
    """The wire form of an exception of the family."""
    retry_after_s = fault.retry_after_s if isinstance(fault, OverloadError) else None
    return Error(fault.code, fault.message, fault.remedy, fatal, retry_after_s)


def error_exception(message: Error) -> CohearError:
    """The exception that an `error` message stands for."""
    if message.retry_after_s is not None:
        return OverloadError(message.code, message.message, message.remedy, retry_after_s=message.retry_after_s)
    kind = ServerError if message.code == "internal" else ClientError
    return kind(message.code, message.message, message.remedy)


def _decode(text: str, kinds: dict[str, Any], *, strict: bool) -> Any:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise ClientError("bad_json", "a text frame is not JSON", "send one JSON object a text frame") from fault
    if not isinstance(data, dict):
        raise ClientError("bad_json", "a text frame is not a JSON object", 'send {"type": ...}')
    kind = data.pop("type", None)
    cls = kinds.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ClientError("unknown_type", f"message type {kind!r:.60} is unknown", f"known types: {', '.join(kinds)}")
    return build(cls, data, strict=strict)


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise _bad(name, value, f"use {low} to {high}")


def _check_options(endpoint_ms: int | None, prompt: str | None) -> None:
    if endpoint_ms is not None:
        _within("endpoint_ms", endpoint_ms, MIN_ENDPOINT_MS, MAX_ENDPOINT_MS)
    if prompt is not None and len(prompt) > MAX_PROMPT_CHARS:
        raise _bad("prompt", f"{len(prompt)} characters long", f"use at most {MAX_PROMPT_CHARS} characters")


def _bad(name: str, value: object, remedy: str) -> ClientError:
    return ClientError("bad_field", f"field {name!r} is {value}", remedy)
