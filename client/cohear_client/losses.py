"""The audio of a stream that was lost, from the stream's own events.

It only adds up `error` and `warning` events with a place, and samples that `done` counts as shed.
"""

from __future__ import annotations

from .errors import ServerError
from .protocol import Done, Error, ServerMessage, Warning

MAX_PLACES = 100
"""Most places that are kept; further ones make the last one longer."""

SHOWN = 5


class Losses:
    """Takes the events of one stream, in order."""

    def __init__(self) -> None:
        self.places: list[tuple[float, float]] = []
        """seconds [start, end) of the stream, in its order"""
        self._shed_samples = 0

    def add(self, event: ServerMessage) -> None:
        """Take in one event; those that lose nothing are skipped."""
        match event:
            case (
                Warning(start_s=float(start_s), end_s=float(end_s)) | Error(start_s=float(start_s), end_s=float(end_s))
            ):
                joined = self.places and (start_s <= self.places[-1][1] or len(self.places) == MAX_PLACES)
                begun_s = self.places.pop()[0] if joined else start_s
                self.places.append((begun_s, end_s))
            case Done():
                self._shed_samples = event.samples.shed

    def check(self) -> None:
        """Raises ServerError (`audio_lost`) that names the places, if there are any."""
        if self.places:
            shown = ", ".join(f"{start_s:.1f} s to {end_s:.1f} s" for start_s, end_s in self.places[:SHOWN])
            more = f" and {len(self.places) - SHOWN} more places" if len(self.places) > SHOWN else ""
            raise _lost(f"audio without text: {shown}{more}")
        if self._shed_samples:
            raise _lost(f"{self._shed_samples} samples of audio have no text")


def _lost(text: str) -> ServerError:
    return ServerError("audio_lost", text, "send this audio again; the server's log says what went wrong")
