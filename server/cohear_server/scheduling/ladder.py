"""The overload ladder: rungs on which the server decodes fewer or cheaper partials. A pure decision.

    USUAL --> SLOWER --> SMALLER (where there is a smaller model) --> NO_PARTIALS, and back the same way

Finals are the same on every rung: none is dropped, and all come from the main model. They can only take longer.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass


class Rung(enum.IntEnum):
    """Clients hear of each step (`warning`, code `degraded`)."""

    USUAL = 0
    SLOWER = 1
    """partials come half as often"""
    SMALLER = 2
    """and from a smaller model, where there is one"""
    NO_PARTIALS = 3


PARTIAL_SHARE = {Rung.USUAL: 1.0, Rung.SLOWER: 0.5, Rung.SMALLER: 0.5, Rung.NO_PARTIALS: 0.0}
"""of the usual number of partials, by rung"""


@dataclass(frozen=True, slots=True)
class LadderOptions:
    climb_at: float = 1.25
    """Demand, as a share of the engine, above which the next rung is taken. It is above 1, because replaced partials
    make some room by themselves."""
    descend_at: float = 1.0
    """The rung before is taken again when the demand on it would be below this."""
    climb_after_s: float = 1.0
    descend_after_s: float = 2.5
    """How long the demand must stay above, or below. Without that, the rung would change all the time."""


class Ladder:
    def __init__(self, options: LadderOptions) -> None:
        self.rung = Rung.USUAL
        self.has_smaller = False
        """there is a smaller model"""
        self._options = options
        self._beyond_since_s = self._below_since_s = math.inf

    def step(self, demand: Callable[[Rung], float], now_s: float) -> Rung:
        """The rung from now on: one step at most, and only when the reason has lasted. `demand` is what the streams ask
        for on a rung, as a share of the engine. Call it a few times a second."""
        options = self._options
        beyond = self.rung is not Rung.NO_PARTIALS and demand(self.rung) > options.climb_at
        below = self.rung is not Rung.USUAL and demand(self._next(-1)) < options.descend_at
        self._beyond_since_s = min(self._beyond_since_s, now_s) if beyond else math.inf
        self._below_since_s = min(self._below_since_s, now_s) if below else math.inf
        if now_s - self._beyond_since_s >= options.climb_after_s:
            self._move(+1)
        elif now_s - self._below_since_s >= options.descend_after_s:
            self._move(-1)
        return self.rung

    def _move(self, way: int) -> None:
        self.rung = self._next(way)
        self._beyond_since_s = self._below_since_s = math.inf

    def _next(self, way: int) -> Rung:
        """The next rung up (1) or down (-1)."""
        rung = Rung(self.rung + way)
        return rung if self.has_smaller or rung is not Rung.SMALLER else Rung(rung + way)
