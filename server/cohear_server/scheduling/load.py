"""How much of the engine the streams ask for, and what follows: whether one more fits, how often partials come.

    opened, heard, closed             --> streams, and seconds of audio that came from them
    final_decoded, partial_decoded    --> engine seconds asked for by a second of audio
                                |
                                +--> admits: may one more stream come?
                                +--> haste:  how easy on the engine are sessions to be?
                                +--> step:   the rung of the ladder, USUAL, SLOWER, SMALLER, NO_PARTIALS

What counts is what is asked for, not what is done: a busy engine does all it can, and partials that it gets to late are
merged. So a partial that waited is charged as often as its cadence would have had it, and one of a lower cadence or of
a smaller model as what it stands for: partials as usual, of the main model. Seconds are those of the audio: a
file sent faster than it was spoken takes what is idle, and counts as one speaker. Finals are never cut: they can only
take longer. A pure computation: no clock, no I/O; times are seconds of one monotonic clock.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass


class Rung(enum.IntEnum):
    """Steps down when the streams ask for more than there is; clients hear of each (`warning`, code `degraded`)."""

    USUAL = 0
    SLOWER = 1
    """partials come half as often"""
    SMALLER = 2
    """and from a smaller model, where there is one"""
    NO_PARTIALS = 3


PARTIAL_SHARE = {Rung.USUAL: 1.0, Rung.SLOWER: 0.5, Rung.SMALLER: 0.5, Rung.NO_PARTIALS: 0.0}
"""of the usual number of partials, by rung"""

PARTIALS_REMEMBERED = 50
"""of which the mean cost is kept: those of a few seconds"""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    slots: int = 1
    """batches that the engine works on at the same time"""
    elastic: float = 0.67
    """So much of the usual number of partials keeps the promise (cursor lag <= 1 s): measured on 2 cores, where they
    came 0.6 s apart, not 0.4, at the last number of streams that kept it."""
    keep: float = 0.76
    """Share of the engine that may be asked for before finals come too late: batches cannot be taken back, so a final
    waits for those that are at work (2 cores, twice the capacity: this let in 25 of 60, whose finals came 0.25 s beyond
    the endpoint, p95; the promise is 0.3 s)."""
    full_batch: int = 8
    batch_overhead: float = 1.3
    """A partial in a batch of n costs as much as 1 + batch_overhead / n: 2.0, 1.4 and 1.1 times the full batch's at 1,
    2 and 4 (bench/engine.py). All are charged as in a full one: an engine busy with small batches has room."""
    memory_s: float = 4.0
    """time constant of the averages: a few utterances, and short against the 10 s in which to recover"""
    settle_s: float = 2.0
    """a stream that has sent less audio than this has not said enough to be counted on"""
    least_s: float = 2.0
    """audio below which nothing is known"""
    prior_weight_s: float = 4.0
    """the cost that warm-up foretold counts as much as so much audio"""
    quiet_share: float = 0.25
    """of continuous speech that any stream is expected to bring, however quiet all are now"""
    leisure: float = 0.2
    haste: float = 0.5
    """shares of the engine asked for between which sessions go over from what is most exact to what is cheapest
    (`Session.hurry`): the most streams that keep the promise ask for some nine tenths"""
    climb_at: float = 1.25
    """Share of the engine asked for beyond which the next rung is taken. Where the promise ends, at 1, partials have
    made room by themselves: with 1.08 the last streams that kept it were degraded, and their text was 1.2 s behind, not
    1.0; with 36 streams, beyond it, 1.6 s, not 1.4, and finals came no sooner (2 cores)."""
    descend_at: float = 1.0
    """the rung before is taken when it would ask for less than this"""
    climb_after_s: float = 1.0
    descend_after_s: float = 2.5
    """how long that must hold: down at once would swing"""


class Load:
    def __init__(self, options: LoadOptions) -> None:
        self.options = options
        self.rung = Rung.USUAL
        self.prior = 0.0
        """engine seconds in a second of continuous speech, as warm-up foretold; 0: not known"""
        self.smaller_cost = 0.0
        """of a partial on the rung SMALLER, as a share of one of the main model: warm-up's guess, then as measured on
        that rung, streams whose language only the main model knows included; 0: there is no smaller model"""
        self._a_partial_s = 0.0
        """engine seconds of one of the main model; 0: not known"""
        self._opened: dict[str, float] = {}
        self._finals = _Decaying(options.memory_s)
        self._partials = _Decaying(options.memory_s)
        self._known = _Decaying(options.memory_s)
        """seconds of audio that settled streams sent"""
        self._partials_a_final = 0.0
        """remembered, for when no partials are decoded"""
        self._beyond_since_s = self._below_since_s = math.inf

    def opened(self, session_id: str) -> None:
        self._opened[session_id] = 0.0

    def heard(self, session_id: str, audio_s: float, now_s: float) -> None:
        """So much audio came on this stream, speech or not."""
        if self._settled(session_id):
            self._known.add(audio_s, now_s)
        self._opened[session_id] += audio_s

    def closed(self, session_id: str) -> None:
        del self._opened[session_id]

    def final_decoded(self, session_id: str, cost_s: float, now_s: float) -> None:
        """A final of this stream took so much engine time: its share of its batch's."""
        if self._settled(session_id):
            self._finals.add(cost_s, now_s)

    def partial_decoded(self, session_id: str, cost_s: float, asked: float, now_s: float, batch: int = 0) -> None:
        """A partial did, in a batch of so many (0: a full one); `asked` is how many its stream wanted in the time since
        the one before (at least 1)."""
        if self._settled(session_id):
            cost_s = self._of_main_model(cost_s * self._in_full_batch(batch))
            share = PARTIAL_SHARE[self.rung] or PARTIAL_SHARE[Rung.SLOWER]
            self._partials.add(cost_s * max(1.0, asked) / share, now_s)

    def _of_main_model(self, cost_s: float) -> float:
        """What such a partial takes of the main model. On the rung SMALLER that is what one took before, whichever this
        was of: some were in the engine already, some streams stay with the main model."""
        if self.rung < Rung.SMALLER:
            self._a_partial_s += (cost_s - self._a_partial_s) / (PARTIALS_REMEMBERED if self._a_partial_s else 1)
        if self.rung is not Rung.SMALLER:
            return cost_s
        if not self._a_partial_s:
            return cost_s / self.smaller_cost
        self.smaller_cost += (cost_s / self._a_partial_s - self.smaller_cost) / PARTIALS_REMEMBERED
        return self._a_partial_s

    def _in_full_batch(self, batch: int) -> float:
        """What it would have cost there, as a share of what it cost."""
        full, overhead = self.options.full_batch, self.options.batch_overhead
        return (1 + overhead / full) / (1 + overhead / batch) if 0 < batch < full else 1.0

    def demand(self, now_s: float, rung: Rung | None = None, more: int = 0) -> float:
        """Share of the engine that the streams, and `more` of them, ask for on this rung (default: the present)."""
        finals, partials = self._a_stream(now_s, foretold_s=0.0)
        rung = self.rung if rung is None else rung
        share = PARTIAL_SHARE[rung] * (self.smaller_cost if rung is Rung.SMALLER else 1.0)
        elastic = partials * self.options.elastic * share
        return (len(self._opened) + more) * (finals + elastic) / self.options.slots

    def haste(self, now_s: float) -> float:
        """How easy on the engine sessions are to be, 0 to 1."""
        options = self.options
        return min(1.0, max(0.0, (self.demand(now_s) - options.leisure) / (options.haste - options.leisure)))

    def fits(self, now_s: float) -> float:
        """How many streams like the present ones keep the promise; infinite while nothing is known of them."""
        finals, partials = self._a_stream(now_s, self.options.prior_weight_s)
        asked = max(finals + self.options.elastic * partials, self.options.quiet_share * self.prior)
        return self.options.keep * self.options.slots / asked if asked else math.inf

    def admits(self, now_s: float) -> bool:
        """Whether one more stream like those here would keep the promise. Not on any rung but the usual; the first one
        always."""
        return not self._opened or (self.rung is Rung.USUAL and len(self._opened) + 1 <= self.fits(now_s))

    def step(self, now_s: float) -> Rung:
        """The rung from now on: one step at most, and only when the reason has lasted. Call it a few times a second."""
        options = self.options
        beyond = self.demand(now_s) > options.climb_at and self.rung is not Rung.NO_PARTIALS
        below = self.rung is not Rung.USUAL and self.demand(now_s, self._next(-1)) < options.descend_at
        self._beyond_since_s = min(self._beyond_since_s, now_s) if beyond else math.inf
        self._below_since_s = min(self._below_since_s, now_s) if below else math.inf
        if now_s - self._beyond_since_s >= options.climb_after_s:
            self._move(self._next(+1), now_s)
        elif now_s - self._below_since_s >= options.descend_after_s:
            self._move(self._next(-1), now_s)
        return self.rung

    def _next(self, way: int) -> Rung:
        """The next rung up (1) or down (-1)."""
        rung = Rung(self.rung + way)
        return rung if self.smaller_cost or rung is not Rung.SMALLER else Rung(rung + way)

    def _move(self, rung: Rung, now_s: float) -> None:
        if rung is Rung.NO_PARTIALS:
            finals = self._finals.at(now_s)
            self._partials_a_final = self._partials.at(now_s) / finals if finals else 0.0
        elif self.rung is Rung.NO_PARTIALS:
            self._partials.set(self._finals.at(now_s) * self._partials_a_final, now_s)
        self.rung = rung
        self._beyond_since_s = self._below_since_s = math.inf

    def _a_stream(self, now_s: float, foretold_s: float) -> tuple[float, float]:
        """Engine seconds that finals and partials of a second of audio ask for; what warm-up foretold counts as much as
        `foretold_s` of it."""
        if not self.prior:
            foretold_s = 0.0
        known_s = self._known.at(now_s) + foretold_s
        if known_s < self.options.least_s:
            return 0.0, 0.0
        finals = self._finals.at(now_s)
        hushed = self.rung is Rung.NO_PARTIALS
        partials = finals * self._partials_a_final if hushed else self._partials.at(now_s)
        # a third of what continuous speech costs is its finals (measured)
        foretold = foretold_s * self.prior
        return (finals + foretold / 3) / known_s, (partials + foretold * 2 / 3) / known_s

    def _settled(self, session_id: str) -> bool:
        return self._opened.get(session_id, 0.0) >= self.options.settle_s


class _Decaying:
    """A sum whose parts fade: what was added `memory_s` ago counts 1/e."""

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self._sum = self._at_s = 0.0

    def at(self, now_s: float) -> float:
        if now_s > self._at_s:
            self._sum *= math.exp((self._at_s - now_s) / self._memory_s)
            self._at_s = now_s
        return self._sum

    def add(self, amount: float, now_s: float) -> None:
        self._sum = self.at(now_s) + amount

    def set(self, amount: float, now_s: float) -> None:
        self.at(now_s)
        self._sum = amount
