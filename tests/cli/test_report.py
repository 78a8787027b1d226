from __future__ import annotations

from cohear_cli.report import LatencyReport
from cohear_client.protocol import Done, Final, Partial, SampleCount, SpeechStarted, Stats, Timing

TIMING = Timing(queue_ms=10, decode_ms=40, batch_size=4)


def report(speed: float) -> dict[str, str]:
    made = LatencyReport(speed)
    made.add(SpeechStarted(1.0), 1.1)
    made.add(Partial(1, 0, 0, "", "a", 1, 1.5, TIMING), 1.3)
    made.add(Partial(2, 0, 1, "", "a b", 1, 2.0, TIMING), 1.9)
    made.add(Final(3, 0, "a b", 1, "en", 1.0, 2.0, "endpoint", "m", TIMING), 2.5)
    made.add(Stats(1.25, 0, 0, 3, SampleCount()), 2.6)
    made.add(Done(SampleCount(10, 6, 3, 1), 1), 3.0)
    return {row.name: row.value for row in made.rows()}


def test_latency_is_measured_against_the_audios_time() -> None:
    rows = report(1.0)
    assert rows["speech start -> first partial"] == "p50 300 ms, p95 300 ms (1)"
    assert rows["speech end -> final"] == "p50 500 ms, p95 500 ms (1)"
    assert rows["in the service: partial"] == "p50 50 ms, p95 50 ms (2)"
    assert rows["batch size"] == "mean 4.0, largest 4"
    assert rows["arrival jitter"] == "1.2 ms, 3 gaps"
    assert rows["samples"] == "6 transcribed + 3 silent + 1 shed = 10 received"


def test_without_a_pace_only_the_services_own_times_are_shown() -> None:
    assert "speech end -> final" not in report(0)


def test_nothing_heard_is_an_empty_table() -> None:
    assert LatencyReport(1.0).rows() == []
