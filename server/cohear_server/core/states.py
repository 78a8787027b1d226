"""The states of a session, and every transition between them. Nothing else changes a session's state.

            SpeechStart              Pause
      QUIET ----------> SPEECH --------------> PAUSE
        ^  <----------    ^    <--------------  | |
        |    SpeechEnd    |  Resumption, Cut    | |        Stop               Drained
        +-----------------|---------------------+ |  open -------> DRAINING ----------> DONE
                          +-- Cut: stays ---------+

A trigger is a command of the client, an event of the segmenter, or `Drained`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from ..errors import ClientError
from .commands import Audio, Configure, Finalize, Resume, Stop, Tick
from .segmenter import Cut, Pause, Resumption, SpeechEnd, SpeechStart


class Drained:
    """After `Stop`: every final and mark is out."""


class State(enum.Enum):
    QUIET = "quiet"
    """no segment is open"""
    SPEECH = "speech"
    """a segment is open"""
    PAUSE = "pause"
    """a segment is open, and its speculative final is being decoded: the pause may be its end"""
    DRAINING = "draining"
    """no more audio; finals are still to come"""
    DONE = "done"
    """nothing more comes"""


TRANSITIONS: Mapping[State, Mapping[type, State]] = {
    State.QUIET: {
        Audio: State.QUIET,
        Finalize: State.QUIET,
        SpeechStart: State.SPEECH,
        Stop: State.DRAINING,
    },
    State.SPEECH: {
        Audio: State.SPEECH,
        Finalize: State.SPEECH,
        Pause: State.PAUSE,
        Cut: State.SPEECH,
        SpeechEnd: State.QUIET,
        Stop: State.DRAINING,
    },
    State.PAUSE: {
        Audio: State.PAUSE,
        Finalize: State.PAUSE,
        Resumption: State.SPEECH,
        Cut: State.SPEECH,
        SpeechEnd: State.QUIET,
        Stop: State.DRAINING,
    },
    State.DRAINING: {
        Finalize: State.DRAINING,
        Stop: State.DRAINING,
        Drained: State.DONE,
    },
    State.DONE: {
        Stop: State.DONE,
    },
}
"""`Finalize` and `Stop` end an open segment first, by `SpeechEnd`."""

ANYWHERE = frozenset({Configure, Tick, Resume})
"""every state takes these, and does not change"""


class ImpossibleTransition(RuntimeError):
    """A programming error: the state does not know the trigger."""


def following(state: State, trigger: type) -> State:
    """The state after `trigger`. Raises ClientError(`stopped`) for a command that comes too late."""
    if trigger in ANYWHERE:
        return state
    found = TRANSITIONS[state].get(trigger)
    if found is not None:
        return found
    if trigger in (Audio, Finalize):
        what = trigger.__name__.lower()
        raise ClientError("stopped", f"{what} came after stop", "start a new stream for more audio")
    raise ImpossibleTransition(f"{trigger.__name__} in {state}")
