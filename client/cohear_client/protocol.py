"""The native wire, version 1: every message, once.

One websocket carries one stream. Text frames are JSON objects with a `type`; binary frames are
audio in the encoding that `start` names. The client speaks first (`start`), the server answers
`ready` or `error`. Sample counts on the wire are in the client's own rate, per channel; times
(`_s`) are seconds of audio since the first sample. `docs/protocol.md` shows each message.

Both packages import this module; `messages` has what holds for every wire.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec

from . import messages
from .errors import ClientError, CohearError, OverloadError, ServerError

SUBPROTOCOL = "cohear.v1"
PATH = "/v1/stream"
MAX_FRAME_BYTES = 1 << 20
"""Largest binary frame: over 30 s of 16 kHz PCM16. Larger ones are refused, not split."""
MAX_TEXT_BYTES = 64 << 10
"""Largest text frame from a client. Larger ones are refused unread."""

Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]
Task = Literal["transcribe", "translate"]
Reason = Literal["endpoint", "max_length", "finalize", "stop"]
Preference = Literal["auto", "accuracy", "speed"]

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
MIN_RATE_HZ, MAX_RATE_HZ, MAX_CHANNELS = 8_000, 48_000, 8
MIN_ENDPOINT_MS, MAX_ENDPOINT_MS = 100, 5_000
MAX_PROMPT_CHARS, MAX_NAME_CHARS = 1_000, 128
MAX_HOTWORDS, MAX_HOTWORD_CHARS = 100, 64
MAX_LANGUAGES = 100
MAX_SEQ = 2**53
"""JSON readers that keep numbers as floats know whole numbers up to here"""

Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
EndpointMs = Annotated[int, msgspec.Meta(ge=MIN_ENDPOINT_MS, le=MAX_ENDPOINT_MS)]
Prompt = Annotated[str, msgspec.Meta(max_length=MAX_PROMPT_CHARS)]
Hotword = Annotated[str, msgspec.Meta(max_length=MAX_HOTWORD_CHARS)]
Hotwords = Annotated[tuple[Hotword, ...], msgspec.Meta(max_length=MAX_HOTWORDS)]
Languages = Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_LANGUAGES)]

# Websocket close codes (RFC 6455 section 7.4, 1013 from the IANA registry).
CLOSE_NORMAL, CLOSE_GOING_AWAY, CLOSE_CLIENT_FAULT, CLOSE_SERVER_FAULT, CLOSE_TRY_LATER = (
    1000,
    1001,
    1008,
    1011,
    1013,
)


class _Request(messages.Checked, frozen=True, tag_field="type"):
    """From the client; the tag is its `type`."""


class _Event(msgspec.Struct, frozen=True, tag_field="type"):
    """From the server; fields that this version does not know are skipped."""

    @property
    def TYPE(self) -> str:
        """Its `type` on the wire."""
        return messages.tag_of(self)


# --- shared parts ---------------------------------------------------------------------------------


class Word(msgspec.Struct, frozen=True):
    """One word of a hypothesis; `confidence` is the probability that it is right, 0..1."""

    text: str
    start_s: float
    end_s: float
    confidence: float


class Timing(msgspec.Struct, frozen=True):
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


class SampleCount(msgspec.Struct, frozen=True):
    """What became of each sample: `transcribed + silent + shed == received` once a stream is done."""

    received: int = 0
    transcribed: int = 0
    silent: int = 0
    shed: int = 0


class Resume(messages.Checked, frozen=True):
    """Asks for a session that lost its connection: who, the proof, and the last event that came."""

    session_id: Name
    token: Name
    last_seq: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)] = 0
    lasting: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)] | None = None
    """how many `final`, `finalized`, `error` and `done` came; from a client that counts them none comes twice"""


class Quality(messages.Checked, frozen=True):
    """Whether a busy server may trade accuracy for speed: `auto`, by its load; `accuracy`, never; `speed`, always."""

    prefer: Preference = "auto"


class Limits(msgspec.Struct, frozen=True):
    """What this server holds a stream to."""

    max_frame_bytes: int = MAX_FRAME_BYTES
    max_segment_s: float = 0.0
    idle_timeout_s: float = 0.0
    resume_window_s: float = 0.0


# --- client to server -----------------------------------------------------------------------------


class Start(_Request, frozen=True, tag="start"):
    """First message: what the audio is and what is wanted. None means the server's default."""

    sample_rate: Annotated[int, msgspec.Meta(ge=MIN_RATE_HZ, le=MAX_RATE_HZ)] = 16_000
    encoding: Encoding = "pcm_s16le"
    channels: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHANNELS)] = 1
    language: Name | None = None
    task: Task = "transcribe"
    model: Name | None = None
    partials: bool = True
    words: bool = True
    endpoint_ms: EndpointMs | None = None
    prompt: Prompt | None = None
    hotwords: Hotwords | None = None
    languages: Languages | None = None
    quality: Quality | None = None
    resume: Resume | None = None


class Configure(_Request, frozen=True, tag="configure"):
    """Changes options from here on; None leaves one as it is."""

    language: Name | None = None
    task: Task | None = None
    partials: bool | None = None
    words: bool | None = None
    endpoint_ms: EndpointMs | None = None
    prompt: Prompt | None = None
    hotwords: Hotwords | None = None
    quality: Quality | None = None


class Finalize(_Request, frozen=True, tag="finalize"):
    """Make everything sent so far final now; answered by `finalized` with the same id."""

    id: Name = ""


class KeepAlive(_Request, frozen=True, tag="keepalive"):
    """Nothing to send, but still here."""


class Stop(_Request, frozen=True, tag="stop"):
    """No more audio: remaining finals follow, then `done`."""


# --- server to client -----------------------------------------------------------------------------


class Ready(_Event, frozen=True, tag="ready"):
    """The stream is accepted; audio counts from `next_sample` on."""

    session_id: str
    token: str
    model: str
    limits: Limits = Limits()
    next_sample: int = 0


class SpeechStarted(_Event, frozen=True, tag="speech_started"):
    at_s: float


class SpeechEnded(_Event, frozen=True, tag="speech_ended"):
    at_s: float


class Partial(_Event, frozen=True, tag="partial"):
    """What is understood so far of a segment that is still being spoken.

    `stable` only ever grows within a segment; `volatile` may change with the next partial. The final
    is decoded from the whole segment and has the last word.
    """

    seq: int
    segment_id: int
    revision: int
    stable: str
    volatile: str
    confidence: float
    audio_end_s: float
    timing: Timing
    words: tuple[Word, ...] | None = None


class Final(_Event, frozen=True, tag="final"):
    """A finished segment; sent once. `rules` names each anti-hallucination rule that altered the text, `traded` each
    thing that was given up in accuracy for speed."""

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
    traded: tuple[str, ...] = ()


class Finalized(_Event, frozen=True, tag="finalized"):
    """Every final of the audio sent before `finalize` has been sent."""

    id: str


class Stats(_Event, frozen=True, tag="stats"):
    """How the stream fares: arrival jitter (RFC 3550), audio not settled yet, and each sample's fate.

    Audio before `settled_s` is final or silent: no session has to hear it again.
    """

    jitter_ms: float
    lag_s: float
    drift_ppm: float
    gaps: int
    samples: SampleCount
    settled_s: float = 0.0


class Warning(_Event, frozen=True, tag="warning"):
    """Something is less than promised, but the stream goes on. With `start_s` and `end_s`: what audio it is about."""

    code: str
    message: str
    start_s: float | None = None
    end_s: float | None = None


class Error(_Event, frozen=True, tag="error"):
    """Something failed. When `fatal`, remaining finals and `done` still follow, then the close.

    With `start_s` and `end_s`: this audio has no text, and will have none.
    """

    code: str
    message: str
    remedy: str = ""
    fatal: bool = True
    retry_after_s: float | None = None
    start_s: float | None = None
    end_s: float | None = None


class Closing(_Event, frozen=True, tag="closing"):
    """The server is about to close this connection; a session can be resumed elsewhere or later."""

    reason: str
    reconnect_after_ms: int = 0


class Done(_Event, frozen=True, tag="done"):
    """The last message of a stream that ended in order."""

    samples: SampleCount
    segments: int


ClientMessage = Start | Configure | Finalize | KeepAlive | Stop
ServerMessage = (
    Ready | SpeechStarted | SpeechEnded | Partial | Final | Finalized | Stats | Warning | Error | Closing | Done
)
_CLIENT: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_SERVER: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)


def encode(message: ClientMessage | ServerMessage) -> str:
    """The text frame of a message."""
    return messages.encode(message)


def decode_client(text: str) -> ClientMessage:
    """What a client said. Raises ClientError (`bad_json`, `unknown_type`, `bad_field`)."""
    return messages.decode(text, _CLIENT)


def decode_server(text: str) -> ServerMessage:
    """What a server said; fields that this version does not know are skipped. Raises ClientError."""
    return messages.decode(text, _SERVER)


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
