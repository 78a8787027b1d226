"""How evenly a stream's audio arrives: interarrival jitter, clock drift, gaps.

The sample count is the sender's clock, so no timestamp of the client is needed. It reads no clock
itself: arrival times are handed in, in seconds of any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field

GAP_S = 0.25
"""Audio that comes this much later than the audio before it predicts counts as a gap."""

CATCH_UP_S = 30.0
"""After a lost connection the client sends kept audio faster than live. This is not measured, for this long at most."""

_DRIFT_MEMORY_S = 60.0


@dataclass(slots=True)
class JitterClock:
    """RFC 3550 section 6.4.1: J += (|D| - J) / 16, with D the difference in transit of two frames."""

    sample_rate_hz: int
    jitter_s: float = 0.0
    gaps: int = 0
    _samples: int = 0
    _first_s: float | None = None
    _transit_s: float = 0.0
    _catch_up_until_s: float | None = None
    _line: _Line = field(default_factory=lambda: _Line(_DRIFT_MEMORY_S))

    def on_frame(self, samples: int, now_s: float) -> None:
        """A frame of `samples` came in at `now_s`. Its last sample cannot be older than its arrival."""
        self._samples += samples
        sent_s = self._samples / self.sample_rate_hz
        if self._first_s is None:
            self._first_s = now_s - sent_s
            return
        transit_s = now_s - self._first_s - sent_s
        if self._catch_up_until_s is not None:
            behind = transit_s - self._transit_s > GAP_S
            if not behind or now_s > self._catch_up_until_s:
                self._catch_up_until_s = None
                self._transit_s = transit_s
            return
        difference_s = transit_s - self._transit_s
        self._transit_s = transit_s
        if difference_s > GAP_S:
            self.gaps += 1
        self.jitter_s += (abs(difference_s) - self.jitter_s) / 16
        self._line.add(sent_s, transit_s)

    def resume(self, now_s: float) -> None:
        """The connection was lost and is back: what follows is replayed until it has caught up with its own clock."""
        self._catch_up_until_s = now_s + CATCH_UP_S

    @property
    def drift_ppm(self) -> float:
        """How much slower (positive) the sender's sample clock runs than ours, by least squares."""
        return 1e6 * self._line.slope


@dataclass(slots=True)
class StatsTimer:
    """When statistics are due: by the clock and by the audio, so that clients that send fast get them too."""

    interval_s: float
    _told_s: float = 0.0
    _heard_s: float = 0.0

    def due(self, now_s: float, heard_s: float) -> bool:
        """Whether they are due at `now_s`, after `heard_s` of audio; if so, they count as sent."""
        if now_s - self._told_s < self.interval_s and heard_s - self._heard_s < self.interval_s:
            return False
        self._told_s, self._heard_s = now_s, heard_s
        return True


@dataclass(slots=True)
class _Line:
    """Slope of y over x by least squares whose weights fade with e^(-age / memory)."""

    memory: float
    _x: float = 0.0
    _weight: float = 0.0
    _mean_x: float = 0.0
    _mean_y: float = 0.0
    _var_x: float = 0.0
    _cov: float = 0.0

    def add(self, x: float, y: float) -> None:
        fade = max(0.0, 1.0 - (x - self._x) / self.memory)
        self._x = x
        self._weight = self._weight * fade + 1.0
        self._var_x *= fade
        self._cov *= fade
        dx, dy = x - self._mean_x, y - self._mean_y
        self._mean_x += dx / self._weight
        self._mean_y += dy / self._weight
        self._var_x += dx * (x - self._mean_x)
        self._cov += dx * (y - self._mean_y)

    @property
    def slope(self) -> float:
        return self._cov / self._var_x if self._var_x > 1.0 else 0.0
