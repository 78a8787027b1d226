"""Fair queueing among tenants: the next turn goes to the tenant that used the engine least in the last minute.

Service fades: what a tenant had a minute ago counts 1/e, so nobody pays for past hours. A new tenant, or one that comes
back, begins at the level of the tenants that are served now. So it neither waits for them nor makes them wait
(start-time fair queueing: Goyal, Vin and Cheng 1996). A pure computation; tenants that are gone and whose service faded
are forgotten."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

MEMORY_S = 60.0
FADED_S = 0.01
"""Less service than this counts as none."""
LARGEST_UNIT = 1e6


def equal_shares(tenant: str) -> float:
    return 1.0


class FairShare:
    def __init__(self, share: Callable[[str], float] = equal_shares) -> None:
        """`share`: how much a tenant is to have, against the others."""
        self._share = share
        self._served: dict[str, float] = {}
        """service over share. Instead of letting all values fade, what is added grows with time: by `_unit`"""
        self._virtual = 0.0
        """The largest value that a tenant had when it was served. A new tenant begins there."""
        self._waiting: Counter[str] = Counter()
        self._since_s = 0.0
        """when a second of service was worth 1"""

    def waits(self, tenant: str, now_s: float) -> None:
        """It has one more job that waits."""
        if not self._waiting[tenant]:
            self._served[tenant] = max(self._served.get(tenant, 0.0), self._virtual)
        self._waiting[tenant] += 1
        self._rebase(now_s)

    def waits_no_more(self, tenant: str) -> None:
        """One of its jobs was taken or given up."""
        self._waiting[tenant] -= 1
        if self._waiting[tenant] <= 0:
            del self._waiting[tenant]

    def serve(self, tenant: str, service_s: float, now_s: float) -> None:
        """Count this much service of the engine for the tenant."""
        had = self._served.get(tenant, 0.0)
        self._virtual = max(self._virtual, had)
        self._served[tenant] = had + self._unit(now_s) * service_s / self._share(tenant)

    def rank(self, tenant: str) -> float:
        """Sort key: the tenant with the lowest value comes next."""
        return self._served.get(tenant, 0.0)

    def __len__(self) -> int:
        """Tenants that are remembered."""
        return len(self._served)

    def _unit(self, now_s: float) -> float:
        return math.exp(min(500.0, (now_s - self._since_s) / MEMORY_S))

    def _rebase(self, now_s: float) -> None:
        unit = self._unit(now_s)
        if unit < LARGEST_UNIT:
            return
        faded = {tenant: served / unit for tenant, served in self._served.items()}
        self._served = {t: served for t, served in faded.items() if served > FADED_S or self._waiting[t]}
        self._virtual /= unit
        self._since_s = now_s
