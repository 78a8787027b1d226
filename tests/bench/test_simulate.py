from __future__ import annotations

from pathlib import Path

import pytest
from cohear_server.engine.profile import find_profile
from simulate import Policy, Run
from voice import read_spoken

SAMPLES = Path(__file__).parents[2] / "audio_samples"


def report(streams: int) -> dict[str, float | None]:
    profile = find_profile("tiny.en")
    assert profile is not None
    run = Run(read_spoken(SAMPLES, 6, "en"), streams, Policy(), profile)
    run.run()
    return run.report()


@pytest.mark.slow
def test_more_streams_wait_longer_in_larger_batches_and_a_run_can_be_repeated() -> None:
    few, many = report(2), report(24)
    assert few == report(2)
    for name in ("cursor_lag_p95", "partial_interval_p95", "batch"):
        assert (many[name] or 0) > (few[name] or 0) > 0
