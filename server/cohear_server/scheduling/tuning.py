"""The scheduler's parameters, from the cost model: how large a batch is worth its time, and which windows wait for it.

All constants here are shares, or times that people notice; none depends on a machine. `bench/simulate.py` compares the
result with the best parameters that can be set by hand, on machines of several kinds.
"""

from __future__ import annotations

from dataclasses import dataclass

from .costs import CostBook, Costs

PARTIAL_S = 3.0
"""length of a usual partial's window"""

FINAL_S = 6.0
"""length of a usual final's window, with its context"""

WORTH = 0.05
"""A batch of twice the size must save this share of the time of each window. Otherwise its windows wait for nothing."""

LONGEST_S = 0.3
"""Longest expected time of a batch with more than one window. Nothing in the engine can be cancelled, and a final may
have to wait for the whole batch."""

MOST = 64
"""most windows in a batch, whatever they cost: more are not measured"""

BATCHES_BETWEEN = 8
"""batches between two computations of the parameters"""

SLACK_BATCHES = 1.5
"""A partial waits for others until the time before it is due is only this many times the time of its batch."""

URGENT_S = 0.12
"""A final that must begin within this time goes before all partials. A final whose endpoint is known is always one of
these, because it has less time."""

URGENT_BATCHES = 0.75
"""The same holds for a final that must begin within this share of the time of a batch of partials, because it may have
to wait for such a batch. Where two finals in one batch save little (`_apart`), more is added to this share."""


@dataclass(frozen=True, slots=True)
class Tuning:
    batch: int
    """most windows that are worth one batch"""
    few: int
    """fewer partials than this wait for others, as long as they have time"""
    slack_s: float
    """a partial that is due this soon is not held back"""
    urgent_s: float
    """a final that must be begun this soon goes before all partials"""
    longest_s: float = LONGEST_S
    """longest expected time of a batch of several windows"""


def tuned(costs: Costs, limit: int = MOST) -> Tuning:
    """The parameters for an engine with these costs; `limit` is the operator's limit for the size of batches."""
    batch = worthwhile(costs, min(limit, MOST))
    batch_s = costs.seconds(batch, PARTIAL_S)
    urgent_s = max(URGENT_S, (URGENT_BATCHES + _apart(costs)) * batch_s)
    return Tuning(batch, batch, SLACK_BATCHES * batch_s, urgent_s)


def worthwhile(costs: Costs, limit: int) -> int:
    """The largest batch of usual partials that is worth its time."""
    size = 1
    while 2 * size <= limit:
        now_s, twice_s = costs.seconds(size, PARTIAL_S), costs.seconds(2 * size, PARTIAL_S)
        if twice_s > LONGEST_S or twice_s / 2 > (1 - WORTH) * now_s:
            break
        size *= 2
    return size


def _apart(costs: Costs) -> float:
    """What a second final adds to the time of the first, as a share of it; 1 if they save nothing together."""
    one_s, two_s = costs.seconds(1, FINAL_S), costs.seconds(2, FINAL_S)
    return min(1.0, max(0.0, two_s / one_s - 1))


class Tuner:
    """The present parameters, computed again as the costs are learnt. `by_hand` sets others, for experiments."""

    def __init__(self, costs: CostBook, limit: int = MOST, by_hand: Tuning | None = None) -> None:
        self._costs = costs
        self._limit = limit
        self._by_hand = by_hand
        self._from: tuple[Costs, int] | None = None
        self._now = Tuning(1, 1, 0.0, 0.0)

    @property
    def now(self) -> Tuning:
        if self._by_hand is not None:
            return self._by_hand
        known = self._costs.main, self._costs.main.batches // BATCHES_BETWEEN
        if known != self._from:
            self._from, self._now = known, tuned(self._costs.main, self._limit)
        return self._now
