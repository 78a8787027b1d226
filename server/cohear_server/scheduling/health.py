"""Whether the backend works, as seen from its calls: up, or down since when and for what. It makes no calls itself."""

from __future__ import annotations

from dataclasses import dataclass

FAILURES = 3
"""in a row, with no success between, before the backend counts as down: one may be the fault of a single window"""


@dataclass(frozen=True, slots=True)
class Health:
    up: bool = True
    since_s: float = 0.0
    """when it went up or down, by the dispatcher's clock"""
    fault: str = ""
    """what went wrong last; kept when the backend is up again"""


class HealthWatch:
    def __init__(self) -> None:
        self.now = Health()
        self._failures = 0

    def succeeded(self, now_s: float) -> None:
        """A call returned good results."""
        self._failures = 0
        if not self.now.up:
            self.now = Health(True, now_s, self.now.fault)

    def failed(self, fault: str, now_s: float, *, hopeless: bool = False) -> None:
        """A call failed; `hopeless`: and no other can be made."""
        self._failures += 1
        down = hopeless or self._failures >= FAILURES or not self.now.up
        went_down = down and self.now.up
        self.now = Health(not down, now_s if went_down else self.now.since_s, fault)
