"""The demand of the streams on an engine, and what follows: admission, the rung of the ladder, and economy.

    opened, heard, closed    what streams send, each by its own clock           --> demand:  share of the engine
    decoded                  what their windows cost, from the dispatcher       --> admits:  may one more come?
    costs                    what continuous speech would cost, until known     --> economy: accuracy against speed
                                                                                --> step:    the rung of the ladder

Demand counts, not use, because a busy engine does all it can, and replaces partials that are late. So a partial that
waited is charged for all partials that its stream wanted meanwhile. A partial of a lower cadence, of a small batch or
of a smaller model is charged like the usual partial in its place. A stream that sends nothing demands nothing, and a
file that is sent faster than real time demands as much as one speaker. There is one object for each engine and its
models. A pure computation: no clock, no I/O; times are seconds of one monotonic clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, JobKind
from .costs import CostBook, Costs
from .dispatcher import DecodedBatch
from .ladder import PARTIAL_SHARE, Ladder, LadderOptions, Rung
from .tuning import FINAL_S, PARTIAL_S, Tuner

FINAL_EACH_S = 4.0
"""time between two finals of continuous speech"""

MOVED_REMEMBERED = 0.02
"""Weight of one more partial in the running share of partials that the smaller model decodes."""


@dataclass(frozen=True, slots=True)
class CapacityOptions:
    slots: int = 1
    """batches that the engine works on at the same time"""
    interval_s: float = 0.4
    """usual time between two partials of a stream"""
    promised_lag_s: float = 1.0
    """The latency promise: text is at most this far behind speech. Up to this, partials may come later than usual."""
    keep: float = 0.76
    """Largest demand, as a share of the engine, at which finals are still in time. It is below 1, because a final has
    to wait for the batches that are in the engine."""
    memory_s: float = 4.0
    """time constant of the averages: a few utterances"""
    settle_s: float = 2.0
    """A stream with less audio than this is too young to be measured. It counts as the average of the others."""
    prior_weight_s: float = 4.0
    """The estimate for continuous speech has the weight of this much measured audio."""
    quiet_share: float = 0.25
    """share of continuous speech that every stream is expected to have, even if all are quiet now"""
    economy_from: float = 0.2
    economy_full: float = 0.5
    """economy grows from 0 to 1 between these two demands"""
    ladder: LadderOptions = field(default_factory=LadderOptions)


class Capacity:
    def __init__(self, options: CapacityOptions, costs: CostBook, tuner: Tuner) -> None:
        self.options = options
        self._costs = costs
        self._tuner = tuner
        self._ladder = Ladder(options.ladder)
        self.rung = self._ladder.rung
        self._accounts: dict[str, _Account] = {}
        self._smaller: str | None = None
        self._moved = 1.0
        """share of the partials on the rung SMALLER that the smaller model decodes: some streams stay with the main"""
        self._partials_a_final = 0.0
        """kept for times in which no partials are decoded"""

    def has_smaller(self, model: str) -> None:
        """There is a smaller model for partials, of this name."""
        self._smaller = model
        self._ladder.has_smaller = True

    # --- measurements -----------------------------------------------------------------------------

    def opened(self, session_id: str, now_s: float) -> None:
        self._accounts[session_id] = _Account(now_s, self.options.memory_s)

    def heard(self, session_id: str, audio_s: float, now_s: float) -> None:
        """This stream sent so much audio, speech or not."""
        account = self._accounts.get(session_id)
        if account is not None:
            account.hear(audio_s, now_s)

    def closed(self, session_id: str) -> None:
        self._accounts.pop(session_id, None)

    def decoded(self, batch: DecodedBatch) -> None:
        """A batch came out of the engine: charge it to its streams. An observer of the dispatcher."""
        each_s = batch.busy_s / len(batch.jobs)
        for job, waited_s in zip(batch.jobs, batch.waited_s, strict=True):
            account = self._accounts.get(job.session_id)
            if account is None or account.audio_s < self.options.settle_s:
                continue
            if job.kind is JobKind.PARTIAL:
                asked = 1 + max(0.0, waited_s) / max(job.deadline_s, 0.01)
                usual_s = self._usual_s(job, each_s, len(batch.jobs)) / self._partial_share()
                account.charge(0.0, asked * usual_s, batch.at_s)
            else:
                account.charge(each_s, 0.0, batch.at_s)

    def step(self, now_s: float) -> Rung:
        """The rung of the ladder from now on. Call it a few times a second."""
        before = self.rung
        rung = self._ladder.step(lambda rung: self.demand(now_s, rung), now_s)
        leaving, entering = before is Rung.NO_PARTIALS, rung is Rung.NO_PARTIALS
        if entering and not leaving:
            finals, partials = self._rates(now_s)
            self._partials_a_final = partials / finals if finals else 0.0
        elif leaving and not entering:
            for account in self._accounts.values():
                account.set_partials(self._partials_a_final)
        self.rung = rung
        return rung

    # --- decisions --------------------------------------------------------------------------------

    def demand(self, now_s: float, rung: Rung | None = None) -> float:
        """Demand of the streams on this rung (default: the present one), as a share of the engine."""
        return self._asked(*self._rates(now_s), self.rung if rung is None else rung) / self.options.slots

    def economy(self, now_s: float) -> float:
        """How much accuracy sessions should trade for speed, 0 to 1."""
        options = self.options
        share = (self.demand(now_s) - options.economy_from) / (options.economy_full - options.economy_from)
        return min(1.0, max(0.0, share))

    def fits(self, now_s: float) -> float:
        """How many streams like the present ones keep the promise; infinite while nothing is known of their cost."""
        room, newcomer = self.options.keep * self.options.slots - self._expected(now_s), self._newcomer(now_s)
        if room < 0:
            return len(self._accounts) * (1 + room / self._expected(now_s))
        return len(self._accounts) + room / newcomer if newcomer else math.inf

    def admits(self, now_s: float) -> bool:
        """Whether one more stream like the present ones would keep the promise. Only on the usual rung; the first
        stream is always admitted."""
        return not self._accounts or (self.rung is Rung.USUAL and len(self._accounts) + 1 <= self.fits(now_s))

    def speech_s(self) -> tuple[float, float]:
        """Estimated engine seconds for the finals and for the partials of one second of continuous speech."""
        costs, size = self._costs.main, self._tuner.now.batch
        finals_s = costs.seconds(1, FINAL_S, timed=1) / FINAL_EACH_S
        return finals_s, costs.seconds(size, PARTIAL_S) / size / self.options.interval_s

    def _elastic(self) -> float:
        """The share of the usual partials that still keeps the promise. A partial may wait for one batch and be decoded
        in the next."""
        options, tuning = self.options, self._tuner.now
        batch_s = self._costs.main.seconds(tuning.batch, PARTIAL_S)
        longest_s = max(options.interval_s, options.promised_lag_s - 2 * batch_s)
        return options.interval_s / longest_s

    def _smaller_share(self) -> float:
        """The cost of partials on the rung SMALLER, as a share of their cost in the main model."""
        if self._smaller is None:
            return 1.0
        size = self._tuner.now.batch
        small, main = self._costs.of(self._smaller), self._costs.main
        share = min(1.0, small.seconds(size, PARTIAL_S) / main.seconds(size, PARTIAL_S))
        return self._moved * share + 1 - self._moved

    def _asked(self, finals: float, partials: float, rung: Rung) -> float:
        share = PARTIAL_SHARE[rung] * (self._smaller_share() if rung is Rung.SMALLER else 1.0)
        return finals + self._elastic() * share * partials

    def _rates(self, now_s: float) -> tuple[float, float]:
        """Demand of all streams in engine seconds a second: for finals, and for the usual number of partials."""
        asked = [account.asks(now_s) for account in self._settled()]
        finals, partials = sum(one[0] for one in asked), sum(one[1] for one in asked)
        if self.rung is Rung.NO_PARTIALS:
            partials = finals * self._partials_a_final
        return finals, partials

    def _expected(self, now_s: float) -> float:
        """The same, with the expected demand of streams that have just begun to send."""
        asked = self._asked(*self._rates(now_s), self.rung)
        new = sum(0 < account.audio_s < self.options.settle_s for account in self._accounts.values())
        return asked + new * self._newcomer(now_s)

    def _settled(self) -> list[_Account]:
        return [account for account in self._accounts.values() if account.audio_s >= self.options.settle_s]

    def _newcomer(self, now_s: float) -> float:
        """Expected demand of one more stream, in engine seconds a second."""
        speech = self._asked(*self.speech_s(), Rung.USUAL)
        asked = self._asked(*self._rates(now_s), Rung.USUAL)
        speakers = sum(account.rate(now_s) for account in self._settled())
        known_s, weight_s = self.options.memory_s * speakers, self.options.prior_weight_s
        mean = (asked * self.options.memory_s + speech * weight_s) / (known_s + weight_s)
        return max(self.options.quiet_share * speech, mean)

    def _usual_s(self, job: DecodeJob, cost_s: float, batch: int) -> float:
        """The usual cost of a partial that took `cost_s` in a batch of so many: in a full batch of the main model."""
        costs, size = self._costs.of(job.options.model), self._tuner.now.batch
        window_s = len(job.pcm) / SAMPLE_RATE_HZ
        if self.rung is Rung.SMALLER:
            self._moved += MOVED_REMEMBERED * ((job.options.model == self._smaller) - self._moved)
        full = _each_s(costs, max(size, batch), window_s) / _each_s(costs, batch, window_s)
        if job.options.model != self._smaller:
            return cost_s * min(1.0, full)
        return cost_s * _each_s(self._costs.main, size, window_s) / _each_s(costs, batch, window_s)

    def _partial_share(self) -> float:
        return PARTIAL_SHARE[self.rung] or PARTIAL_SHARE[Rung.SLOWER]


def _each_s(costs: Costs, batch: int, window_s: float) -> float:
    return costs.seconds(batch, window_s) / batch


class _Account:
    """The recent audio and cost of one stream: sums that fade with time."""

    def __init__(self, opened_s: float, memory_s: float) -> None:
        self.opened_s = opened_s
        self.audio_s = 0.0
        """all audio of the stream; this does not fade"""
        self._memory_s = memory_s
        self._heard_s = self._finals_s = self._partials_s = 0.0
        """audio; engine seconds of its finals; and of as many partials as it wanted"""
        self._at_s = opened_s

    def hear(self, audio_s: float, now_s: float) -> None:
        self._fade(now_s)
        self._heard_s += audio_s
        self.audio_s += audio_s

    def charge(self, finals_s: float, partials_s: float, now_s: float) -> None:
        self._fade(now_s)
        self._finals_s += finals_s
        self._partials_s += partials_s

    def set_partials(self, a_final: float) -> None:
        """Set the demand of its partials to a multiple of that of its finals."""
        self._partials_s = self._finals_s * a_final

    def rate(self, now_s: float) -> float:
        """Seconds of audio a second, at most 1."""
        self._fade(now_s)
        return min(1.0, self._heard_s / self._whole_s())

    def asks(self, now_s: float) -> tuple[float, float]:
        """Demand in engine seconds a second, for finals and for partials. Audio faster than real time counts as one
        speaker."""
        self._fade(now_s)
        whole_s = max(self._whole_s(), self._heard_s)
        return self._finals_s / whole_s, self._partials_s / whole_s

    def _whole_s(self) -> float:
        """The present value of a fading sum that gets one second every second."""
        return self._memory_s * (1 - math.exp(-max(0.1, self._at_s - self.opened_s) / self._memory_s))

    def _fade(self, now_s: float) -> None:
        if now_s <= self._at_s:
            return
        left = math.exp((self._at_s - now_s) / self._memory_s)
        self._heard_s *= left
        self._finals_s *= left
        self._partials_s *= left
        self._at_s = now_s
