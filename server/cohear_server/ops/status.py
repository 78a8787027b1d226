"""`/v1/status`: the server's load and health in one object, for the dashboard and for scripts. It measures nothing."""

from __future__ import annotations

from dataclasses import asdict
from importlib import metadata
from typing import Any

from ..live.service import Service
from ..scheduling.ladder import Rung
from .history import STEP_S, History
from .metrics import Metrics

RUNGS = {
    Rung.USUAL: "usual",
    Rung.SLOWER: "half as often",
    Rung.SMALLER: "smaller model",
    Rung.NO_PARTIALS: "none",
}
"""rung -> its name in the status"""


class Status:
    """Collects the report from the service, the metrics and the history."""

    def __init__(self, service: Service, metrics: Metrics, history: History) -> None:
        self._service = service
        self._metrics = metrics
        self._history = history
        self._begun_s = service.clock()

    def report(self) -> dict[str, Any]:
        """JSON-ready data. Times are seconds, or ms where the name says so; the oldest step of the history is first."""
        service, history = self._service, self._history
        now = history.read()
        return {
            "version": metadata.version("cohear"),
            "state": service.state,
            "model": service.model.name if service.ready else None,
            "uptime_s": round(service.clock() - self._begun_s, 1),
            "streams": {
                "live": len(service.streams),
                "detached": service.lost_streams,
                "capacity": service.capacity,
                "limit": service.config.max_streams,
            },
            "engine": self._engine(),
            "partials": RUNGS[service.engine.capacity.rung],
            "last_minute": history.last_minute(now),
            "recent": history.recent(now),
            "models": history.models(now),
            "cache": self._cache(),
            "errors": [asdict(error) for error in reversed(self._metrics.recent_errors)],
            "history": {"step_s": STEP_S, **history.series()},
        }

    def _engine(self) -> dict[str, Any]:
        dispatcher, health = self._service.dispatcher, self._service.dispatcher.health
        return {
            "slots": self._service.slots,
            "batches": dispatcher.decoding,
            "hung": dispatcher.hung,
            "up": health.up,
            "last_fault": health.fault or None,
            "largest_batch": self._service.scheduler.tuning.batch,
            "costs": self._service.engine.costs.report(),
        }

    def _cache(self) -> dict[str, Any] | None:
        cache = self._service.cache
        return None if cache is None else {"hits": cache.hits, "misses": cache.misses}
