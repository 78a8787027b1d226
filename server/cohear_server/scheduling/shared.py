"""One engine and the parts that decide about it: its costs, its scheduler, its capacity.

Several models, engines or gateways have one such object each. It makes the parts and connects them; each part decides
for itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from ..core.jobs import DecodeJob
from ..engine.backend import DecodeBackend
from .capacity import Capacity, CapacityOptions
from .costs import CostBook
from .dispatcher import Decoded, DecodedBatch, Dispatcher
from .scheduler import Scheduler, SchedulerOptions
from .tuning import PARTIAL_S, Tuner
from .warmup import measure

logger = logging.getLogger(__name__)

PATIENCE_S = 10.0
PATIENCE_FACTOR = 20.0
"""A call counts as hung after so many seconds, and so many times its expected cost."""

PAUSE_SHARE = 0.25
"""longest pause of the loop, as a share of a batch's time"""


class SharedEngine:
    def __init__(
        self,
        backend: DecodeBackend,
        clock: Callable[[], float],
        limits: SchedulerOptions,
        interval_s: float,
        observers: Sequence[Decoded] = (),
    ) -> None:
        """`interval_s` is the usual time between two partials of a stream."""
        self._backend = backend
        self._clock = clock
        self.costs = CostBook()
        self.tuner = Tuner(self.costs, limits.max_batch)
        self.scheduler = Scheduler(limits, self.costs, self.tuner, slots=backend.slots)
        self.capacity = Capacity(CapacityOptions(backend.slots, interval_s), self.costs, self.tuner)
        told = (self._learn, self.capacity.decoded, *observers)
        self.dispatcher = Dispatcher(backend, self.scheduler, clock, told, self._patience)

    async def measure(self) -> None:
        """Measure the costs of the started backend's models. Raises BackendUnavailable."""
        main, smaller = self._backend.model, self._backend.model.smaller
        self.scheduler.window_steps_s = {model.name: model.window_steps_s for model in (main, smaller) if model}
        self.costs.enter(main.name, await measure(self._backend, main, self._clock), main=True)
        if smaller is not None:
            self.costs.enter(smaller.name, await measure(self._backend, smaller, self._clock))
            self.capacity.has_smaller(smaller.name)
        logger.debug("decoding costs: %s; so %s", self.costs.report(), self.tuner.now)

    def loop_pause_s(self) -> float:
        """How long the event loop may gather what comes while the engine is busy: a share of a batch of partials. 0
        where the engine leaves the cores to the loop."""
        if self._backend.model.device != "cpu":
            return 0.0
        return PAUSE_SHARE * self.costs.main.seconds(self.tuner.now.batch, PARTIAL_S)

    def _learn(self, batch: DecodedBatch) -> None:
        self.costs.observe(batch.jobs, batch.results, batch.busy_s)

    def _patience(self, batch: Sequence[DecodeJob]) -> float:
        return max(PATIENCE_S, PATIENCE_FACTOR * self.costs.of_batch(batch))
