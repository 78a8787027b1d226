"""The Realtime protocol over a connection: messages to commands, events to answers. One object a connection; no I/O.

What a message asks of the session goes there at once. What is answered to it is made when it comes back (`Heard`), in
its turn among the events: so `items` sees one order of things.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ...core import events
from ...core.commands import Audio, Command, Finalize
from ...core.events import Heard
from ...errors import ClientError, CohearError
from ...live.outbox import Outgoing
from ..connection import MAX_AUDIO_BYTES
from ..wire import Opening, Said, usual_close_code
from . import answers
from .answers import Answer
from .faults import error_of
from .items import Items
from .requests import Append, BetaUpdate, Clear, Commit, Refused, Update, read
from .settings import Settings

LEAST_COMMIT_S = 0.1
MAX_MARKS = 100
"""commits and clears that wait for their text; more are refused"""


@dataclass(frozen=True, slots=True)
class Updated:
    settings: Settings
    beta: bool


@dataclass(frozen=True, slots=True)
class Marked:
    """The client ends or takes back what it appended; the session answers the mark."""

    mark: str
    what: Literal["commit", "clear"]


class RealtimeWire:
    resumable = False

    def __init__(self, settings: Settings, *, beta: bool = False) -> None:
        self._settings = settings
        """of the last message; those of the last answer are the items'"""
        self._beta = beta
        self._items = Items(settings, beta=beta)
        self._session_id = "sess_"
        self._answers = 0
        self._marks = self._marks_answered = 0
        self._appended = False
        self._bytes = 0
        """since the last commit or clear"""
        self._rest = b""
        """of a sample that the next message completes"""

    def opening(self) -> Opening:
        return Opening(self._settings.start())

    def open(self, said: Said) -> Opening:
        return self.opening()

    def close_code(self, fault: CohearError | None) -> int:
        return usual_close_code(fault)

    # --- messages ---------------------------------------------------------------------------------

    def hear(self, said: Said) -> Iterable[Command | Heard]:
        request = read(said)
        try:
            match request:
                case Update() | BetaUpdate():
                    return self._update(request)
                case Append(audio=audio):
                    return self._append(audio)
                case Commit():
                    return self._commit()
                case Clear():
                    return self._mark("clear")
        except ClientError as fault:
            raise Refused(fault, request.event_id) from fault

    def _update(self, request: Update | BetaUpdate) -> Iterable[Command | Heard]:
        settings = self._settings.updated(request.session)
        if self._appended and settings.format != self._settings.format:
            remedy = "name the format before the first audio, or connect again"
            raise ClientError("invalid_value", "the audio format cannot change after audio was appended", remedy)
        self._settings = settings
        return settings.configure(), Heard(Updated(settings, self._beta or isinstance(request, BetaUpdate)))

    def _append(self, audio: bytes) -> Iterable[Command]:
        self._appended = self._appended or bool(audio)
        self._bytes += len(audio)
        audio = self._rest + audio if self._rest else audio  # which is long, and need not be copied
        whole = len(audio) - len(audio) % self._settings.format.frame_bytes
        self._rest = audio[whole:]
        return [Audio(audio[at : min(whole, at + MAX_AUDIO_BYTES)]) for at in range(0, whole, MAX_AUDIO_BYTES)]

    def _commit(self) -> Iterable[Command | Heard]:
        audio_format = self._settings.format
        seconds = self._bytes / (audio_format.frame_bytes * audio_format.sample_rate_hz)
        if seconds < LEAST_COMMIT_S:
            what = f"the input audio buffer has {1_000 * seconds:.0f} ms of audio"
            raise ClientError("input_audio_buffer_commit_empty", what, "append 100 ms or more before a commit")
        return self._mark("commit")

    def _mark(self, what: Literal["commit", "clear"]) -> Iterable[Command | Heard]:
        if self._marks - self._marks_answered >= MAX_MARKS:
            wait = "wait for `completed` before the next commit"
            raise ClientError("too_many", f"{MAX_MARKS} commits have no text yet", wait)
        self._marks += 1
        self._bytes = 0
        mark = str(self._marks)
        return Heard(Marked(mark, what)), Finalize(mark)

    # --- events -----------------------------------------------------------------------------------

    def tell(self, outgoing: Outgoing) -> Iterable[Said]:
        told: list[Said] = []
        for answer in self._answered(outgoing.event):
            self._answers += 1
            told.append(answers.said(answer, f"event_{self._answers}"))
        return told

    def _answered(self, event: events.Event) -> Iterator[Answer]:
        match event:
            case events.Ready():
                yield self._created(event.session_id)
            case Heard(Updated() as update):
                yield self._updated(update)
            case Heard(Marked(mark, what)):
                yield from self._items.commit(mark) if what == "commit" else self._items.clear(mark)
            case events.Finalized(mark):
                self._marks_answered += 1
                yield from self._items.finalized(mark)
            case events.Failed(fault):
                yield error_of(fault)
                if fault.code == "internal":  # nothing more may come
                    yield from self._items.failed(fault)
            case _:
                yield from self._spoken(event)

    def _spoken(self, event: events.Event) -> Iterator[Answer]:
        """Statistics, notices and the like have no message in this protocol."""
        match event:
            case events.SpeechStarted(at):
                yield from self._items.speech_started(at)
            case events.SpeechEnded(at):
                yield from self._items.speech_ended(at)
            case events.Partial():
                yield from self._items.partial(event)
            case events.Final():
                yield from self._items.final(event)
            case events.Lost():
                yield from self._items.lost(event)
            case events.Done():
                yield from self._items.done()

    def _created(self, session_id: str) -> Answer:
        self._session_id, self._items.name = f"sess_{session_id}", f"item_{session_id}"
        session = self._items.settings.told(self._session_id, beta=self._beta)
        return answers.BetaSessionCreated(session) if self._beta else answers.SessionCreated(session)

    def _updated(self, update: Updated) -> Answer:
        self._items.settings = update.settings
        session = update.settings.told(self._session_id, beta=update.beta)
        return answers.BetaSessionUpdated(session) if update.beta else answers.SessionUpdated(session)
