"""Translates Deepgram's live stream: its messages into commands, and events into its messages. Pure; no socket.

A `Results` covers the audio since the last that was final. So an interim one holds the text of all segments that are
not final yet, and final ones lie end to end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import cast

from cohear_client.protocol import MAX_TEXT_BYTES

from ...core import commands, events
from ...errors import ClientError, CohearError
from ...live.outbox import Outgoing
from ..wire import Opening, Said
from .faults import close_code, error_message
from .messages import (
    Alternative,
    Channel,
    CloseStream,
    Configure,
    ConfigureFailure,
    ConfigureSuccess,
    Event,
    Finalize,
    KeepAlive,
    Metadata,
    Results,
    ResultsMetadata,
    SpeechStarted,
    decode,
    encode,
)
from .query import Asked, prompt_of
from .text import alternative, model_info, model_uuid, seconds
from .utterance import Utterance


def ends(said: Said) -> bool:
    """Whether a message says that no more audio comes; an empty one is the older way to say it."""
    if isinstance(said, bytes):
        return not said
    try:
        return isinstance(decode(said), CloseStream)
    except ClientError:
        return False


ALONE = (0, 1)
"""the first channel of one"""


class DeepgramWire:
    """One live stream of `/v1/listen`."""

    resumable = False

    def __init__(self, asked: Asked, digest: Callable[[], str]) -> None:
        """`digest`: SHA-256 of the audio as it came, in hexadecimal. Raises ClientError(`bad_field`) for a query that
        asks for no possible stream."""
        self._asked = asked
        self._digest = digest
        self._start = asked.query.start()
        self._utterance = Utterance(asked.query.utterance_end_ms)
        self._metadata = self._named("")
        self._language = self._start.language or ""
        self._sealed = 0
        """all audio before this sample is final"""
        self._open: dict[int, events.Partial] = {}
        """the newest of each segment that is not final; no more than make the session `full`"""
        self._rest = b""
        """the beginning of a sample whose end is still to come"""
        self._heard_bytes = 0
        self._marks = 0
        self._finalized = False
        """a final told that it comes from the `Finalize` that is not acknowledged yet"""
        self._closed = False

    def opening(self) -> Opening:
        return Opening(self._start)

    def open(self, said: Said) -> None:
        raise AssertionError("the request opened it")

    # --- messages of the client -------------------------------------------------------------------

    def hear(self, said: Said) -> Iterable[commands.Command | events.Heard]:
        if self._closed:
            return ()  # what was on its way already
        if isinstance(said, bytes):
            return self._audio(said) if said else self._close()
        if len(said) > MAX_TEXT_BYTES:
            most = f"send texts of at most {MAX_TEXT_BYTES} bytes"
            raise ClientError("message_too_large", f"a text frame has {len(said)} characters", most)
        match decode(said):
            case KeepAlive():
                return ()
            case Finalize():
                self._marks += 1
                return (commands.Finalize(str(self._marks)),)
            case CloseStream():
                return self._close()
            case Configure(keyterms):
                return self._configure(keyterms)

    def _audio(self, data: bytes) -> Iterator[commands.Command | events.Heard]:
        """Whole samples; clients cut files wherever it suits them."""
        data = self._rest + data
        whole = len(data) - len(data) % self._start.format.frame_bytes
        self._rest = data[whole:]
        self._heard_bytes += whole
        yield commands.Audio(data[:whole])
        heard_s = self._heard_bytes / (self._start.format.frame_bytes * self._start.format.sample_rate_hz)
        if (ended := self._utterance.ended(heard_s)) is not None:
            yield events.Heard(ended)

    def _close(self) -> Iterable[commands.Command]:
        self._closed = True
        return (commands.Stop(),)

    def _configure(self, keyterms: tuple[str, ...] | None) -> Iterable[commands.Command | events.Heard]:
        request_id = self._asked.request_id
        if keyterms is None:
            return (events.Heard(ConfigureSuccess(request_id)),)
        try:
            prompt = prompt_of(keyterms) or ""
        except ClientError as fault:
            failure = ConfigureFailure(request_id, "CONFIGURE_KEYTERM_LIMIT_EXCEEDED", str(fault))
            return (events.Heard(failure),)
        success = ConfigureSuccess(request_id, keyterms)
        return (commands.Configure(prompt=prompt), events.Heard(success))

    # --- messages to the client -------------------------------------------------------------------

    def tell(self, outgoing: Outgoing) -> Iterable[Said]:
        return [encode(message) for message in self._messages(outgoing.event)]

    def close_code(self, fault: CohearError | None) -> int:
        return close_code(fault)

    def _messages(self, event: events.Event) -> Iterator[Event]:
        self._utterance.follow(event)
        match event:
            case events.Ready(model=model):
                self._metadata = self._named(model)
            case events.Partial():
                yield self._interim(event)
            case events.Final():
                yield self._final(event)
            case events.Lost():
                self._seal(event.segment_id, event.end)
                yield error_message(event.fault)
            case events.Finalized():
                yield from self._acknowledged()
            case events.SpeechStarted(at):
                if self._asked.query.vad_events:
                    yield SpeechStarted(ALONE, seconds(at))
            case events.Failed(fault):
                yield error_message(fault)
            case events.Heard(message):
                yield cast(Event, message)
            case events.Done(samples):
                yield self._ending(samples.received)

    def _interim(self, partial: events.Partial) -> Results:
        self._open[partial.segment_id] = partial
        shown = [self._open[number] for number in sorted(self._open)]
        words = tuple(word for one in shown for word in one.words or ())
        end = max(one.end for one in shown)
        return self._results(end, self._reading(words), is_final=False)

    def _final(self, final: events.Final) -> Results:
        self._language = final.language
        from_finalize = final.reason == "finalize"
        self._finalized = self._finalized or from_finalize
        results = self._results(
            final.end,
            self._reading(final.words or ()),
            is_final=True,
            speech_final=final.reason in ("endpoint", "stop") and self._asked.query.endpointing != "false",
            from_finalize=from_finalize,
        )
        self._seal(final.segment_id, final.end)
        return results

    def _acknowledged(self) -> Iterator[Results]:
        """Nothing was pending, unless a final said so already."""
        if not self._finalized:
            yield self._results(self._sealed, self._reading(()), is_final=True, from_finalize=True)
        self._finalized = False

    def _results(
        self,
        end: int,
        reading: Alternative,
        *,
        is_final: bool,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> Results:
        return Results(
            channel_index=ALONE,
            start=seconds(self._sealed),
            duration=seconds(max(end - self._sealed, 0)),
            is_final=is_final,
            speech_final=speech_final,
            from_finalize=from_finalize,
            channel=Channel((reading,)),
            metadata=self._metadata,
        )

    def _reading(self, words: events.Words) -> Alternative:
        return alternative(words, self._language, punctuated=self._asked.query.punctuated)

    def _seal(self, segment_id: int, end: int) -> None:
        self._sealed = max(self._sealed, end)
        self._open = {number: partial for number, partial in self._open.items() if number > segment_id}

    def _named(self, model: str) -> ResultsMetadata:
        return ResultsMetadata(self._asked.request_id, model_info(model), model_uuid(model))

    def _ending(self, received: int) -> Metadata:
        fmt = self._start.format
        return Metadata(
            request_id=self._asked.request_id,
            sha256=self._digest(),
            created=self._asked.created,
            duration=round(received / fmt.sample_rate_hz, 7),
            channels=fmt.channels,
        )
