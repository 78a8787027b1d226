"""Translates the native protocol: its messages into commands, and events into its messages. Pure; no socket, no state.

A connection uses `NativeWire`. No other module knows both sides. Samples at 16 kHz become seconds here, and the stages
of a decode become `timing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from cohear_client import protocol
from cohear_client.languages import as_code
from cohear_client.messages import tag_of
from msgspec.structs import replace

from ..core import commands, events
from ..core.audio import AudioFormat
from ..core.jobs import SAMPLE_RATE_HZ
from ..core.ledger import SampleCount
from ..errors import ClientError, CohearError
from ..live.outbox import Outgoing
from ..live.timing import Stages
from .wire import Opening, Said, usual_close_code


class NativeWire:
    """The native protocol, version 1; `docs/protocol.md` describes it."""

    resumable = True

    def opening(self) -> Opening | None:
        return None

    def open(self, said: Said) -> Opening:
        if isinstance(said, bytes):
            raise ClientError("not_started", "audio came before start", "send a start message first")
        start = read(said)
        if not isinstance(start, protocol.Start):
            raise ClientError("not_started", f"{tag_of(start)} came before start", "send a start message first")
        return Opening(to_start(start), None if start.resume is None else to_claim(start.resume))

    def hear(self, said: Said) -> Iterable[commands.Command]:
        if isinstance(said, bytes):
            return (commands.Audio(said),)
        match read(said):
            case protocol.Start():
                raise ClientError("already_started", "start came twice", "use configure to change options")
            case protocol.KeepAlive():
                return ()
            case message:
                return (to_command(message),)

    def tell(self, outgoing: Outgoing) -> Iterable[Said]:
        return (protocol.encode(to_message(outgoing.event, outgoing.stages)),)

    def close_code(self, fault: CohearError | None) -> int:
        return usual_close_code(fault)


def read(text: str) -> protocol.ClientMessage:
    """A client's message. Raises ClientError for one that is too large, which is not parsed, or wrong."""
    # at least as many bytes as characters, and at most four times as many: near enough for a limit
    if len(text) > protocol.MAX_TEXT_BYTES:
        most = f"send texts of at most {protocol.MAX_TEXT_BYTES} bytes"
        raise ClientError("message_too_large", f"a text frame has {len(text)} characters", most)
    return protocol.decode_client(text)


def to_start(start: protocol.Start) -> commands.Start:
    """The core's form of `start`."""
    return commands.Start(
        format=AudioFormat(start.sample_rate, start.encoding, start.channels),
        language=_code(start.language),
        task=start.task,
        model=start.model,
        partials=start.partials,
        words=start.words,
        endpoint_ms=start.endpoint_ms,
        prompt=start.prompt,
        hotwords=_hotwords(start.hotwords),
        languages=tuple(dict.fromkeys(map(as_code, start.languages or ()))),
        prefer=start.quality.prefer if start.quality else "auto",
    )


def _code(language: str | None) -> str | None:
    return None if language is None else as_code(language)


def _hotwords(words: Sequence[str] | None) -> str | None:
    return None if words is None else ", ".join(words)


def to_claim(resume: protocol.Resume) -> commands.Claim:
    """The core's form of `start.resume`."""
    return commands.Claim(resume.session_id, resume.token, resume.last_seq, resume.lasting)


def to_command(
    message: protocol.Configure | protocol.Finalize | protocol.Stop,
) -> commands.Configure | commands.Finalize | commands.Stop:
    """The core's form of a message on an open stream."""
    match message:
        case protocol.Configure():
            return commands.Configure(
                language=_code(message.language),
                task=message.task,
                partials=message.partials,
                words=message.words,
                endpoint_ms=message.endpoint_ms,
                prompt=message.prompt,
                hotwords=_hotwords(message.hotwords),
                prefer=message.quality.prefer if message.quality else None,
            )
        case protocol.Finalize():
            return commands.Finalize(message.id)
        case protocol.Stop():
            return commands.Stop()


def to_message(event: events.Event, stages: Stages | None = None) -> protocol.ServerMessage:
    """The message of an event; `stages` is the latency of each stage, if it was decoded."""
    message: protocol.ServerMessage
    match event:
        case events.Partial() | events.Final():
            timing = protocol.Timing(**asdict(stages)) if stages else protocol.Timing()
            message = _partial(event, timing) if isinstance(event, events.Partial) else _final(event, timing)
        case events.SpeechStarted():
            message = protocol.SpeechStarted(_seconds(event.at))
        case events.SpeechEnded():
            message = protocol.SpeechEnded(_seconds(event.at))
        case events.Finalized():
            message = protocol.Finalized(event.mark)
        case events.Lost():
            told = protocol.error_message(event.fault, fatal=False)
            message = replace(told, start_s=_seconds(event.start), end_s=_seconds(event.end))
        case events.Stats():
            message = _stats(event)
        case events.Notice():
            message = protocol.Warning(event.code, event.text)
        case events.Done():
            message = protocol.Done(_samples(event.samples), event.segments)
        case events.Ready():
            message = _ready(event)
        case events.Failed():
            message = protocol.error_message(event.fault, fatal=event.fatal)
        case events.Closing():
            message = protocol.Closing(event.reason, round(1000 * event.reconnect_after_s))
    return message


def to_limits(limits: events.Limits) -> protocol.Limits:
    """The limits of a stream; the largest frame is the protocol's own."""
    return protocol.Limits(
        max_segment_s=limits.max_segment_s,
        idle_timeout_s=limits.idle_timeout_s,
        resume_window_s=limits.resume_window_s,
    )


def _partial(partial: events.Partial, timing: protocol.Timing) -> protocol.Partial:
    return protocol.Partial(
        seq=partial.seq,
        segment_id=partial.segment_id,
        revision=partial.revision,
        stable=partial.stable,
        volatile=partial.volatile,
        confidence=round(partial.confidence, 4),
        audio_end_s=_seconds(partial.end),
        timing=timing,
        words=None if partial.words is None else _words(partial.words),
    )


def _final(final: events.Final, timing: protocol.Timing) -> protocol.Final:
    return protocol.Final(
        seq=final.seq,
        segment_id=final.segment_id,
        text=final.text,
        confidence=round(final.confidence, 4),
        language=final.language,
        start_s=_seconds(final.start),
        end_s=_seconds(final.end),
        reason=final.reason,
        model=final.model,
        timing=timing,
        words=_words(final.words or ()),
        rules=final.rules,
        traded=final.traded,
    )


def _ready(ready: events.Ready) -> protocol.Ready:
    return protocol.Ready(ready.session_id, ready.token, ready.model, to_limits(ready.limits), ready.next_sample)


def _stats(stats: events.Stats) -> protocol.Stats:
    return protocol.Stats(
        jitter_ms=round(1000 * stats.jitter_s, 3),
        lag_s=round(stats.lag_s, 3),
        drift_ppm=round(stats.drift_ppm, 1),
        gaps=stats.gaps,
        samples=_samples(stats.samples),
        settled_s=_seconds(stats.settled),
    )


def _samples(count: SampleCount) -> protocol.SampleCount:
    return protocol.SampleCount(count.received, count.transcribed, count.silent, count.shed)


def _words(words: events.Words) -> tuple[protocol.Word, ...]:
    return tuple(
        protocol.Word(
            text=word.text,
            start_s=round(_seconds(word.start_samples), 3),
            end_s=round(_seconds(word.end_samples), 3),
            confidence=round(word.probability, 4),
        )
        for word in words
    )


def _seconds(samples: int) -> float:
    return samples / SAMPLE_RATE_HZ
