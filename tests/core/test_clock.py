"""Jitter, drift and gaps from arrival times alone."""

from __future__ import annotations

import numpy as np
import pytest
from cohear_server.core.clock import JitterClock


def arrivals(clock: JitterClock, times_s: list[float], samples: int = 320) -> JitterClock:
    for now_s in times_s:
        clock.on_frame(samples, now_s)
    return clock


def test_even_arrival_has_no_jitter() -> None:
    clock = arrivals(JitterClock(16_000), [0.02 * i for i in range(500)])
    assert clock.jitter_s == pytest.approx(0, abs=1e-9)
    assert clock.gaps == 0


def test_one_late_frame_counts_a_sixteenth_of_its_lateness() -> None:
    """RFC 3550 section 6.4.1."""
    clock = arrivals(JitterClock(16_000), [0.00, 0.02, 0.04, 0.06 + 0.016])
    assert clock.jitter_s == pytest.approx(0.001)


def test_alternating_lateness_approaches_its_mean_difference() -> None:
    clock = arrivals(JitterClock(16_000), [0.02 * i + 0.004 * (i % 2) for i in range(400)])
    assert clock.jitter_s == pytest.approx(0.004, rel=0.02)


def test_drift_of_the_senders_clock() -> None:
    slow = 1 + 200e-6
    times = [0.02 * i * slow + 0.001 * (i % 3) for i in range(3_000)]
    assert arrivals(JitterClock(16_000), times).drift_ppm == pytest.approx(200, abs=20)


def test_drift_forgets() -> None:
    """A clock that drifted long ago and no longer does."""
    early = [0.02 * i * (1 + 500e-6) for i in range(3_000)]
    late = [early[-1] + 0.02 * i for i in range(1, 20_000)]
    assert arrivals(JitterClock(16_000), early + late).drift_ppm == pytest.approx(0, abs=30)


def test_a_pause_in_arrival_is_one_gap() -> None:
    times = [0.02 * i for i in range(50)]
    assert arrivals(JitterClock(16_000), times + [t + 2.0 for t in times]).gaps == 1


def test_frame_size_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    clock = JitterClock(48_000)
    sent = 0
    for samples in rng.integers(100, 5_000, 300):
        sent += int(samples)
        clock.on_frame(int(samples), sent / 48_000)
    assert clock.jitter_s == pytest.approx(0, abs=1e-9)


def test_audio_replayed_after_a_lost_connection_is_not_measured() -> None:
    clock = arrivals(JitterClock(16_000), [0.02 * i for i in range(100)])
    clock.resume(12.0)
    replayed = [12.0 + 0.0001 * i for i in range(500)]  # ten seconds of audio in 50 ms
    live = [12.0 + 0.02 * i for i in range(1, 100)]
    arrivals(clock, replayed + live)
    assert clock.jitter_s < 0.01
    assert clock.gaps == 0


def test_audio_lost_in_the_outage_does_not_stop_the_measuring_for_ever() -> None:
    clock = arrivals(JitterClock(16_000), [0.02 * i for i in range(100)])
    clock.resume(60.0)
    arrivals(clock, [60.0 + 0.02 * i for i in range(3_000)])
    assert clock.gaps == 0
    arrivals(clock, [130.0])
    assert clock.gaps == 1
