"""Where one event's latency went, from the times at which its decode job passed each stage.

Times are taken once, where the work happens, and meet here; nothing is measured in this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from cohear_client.protocol import Timing

from ..scheduling.dispatcher import JobTimes


@dataclass(frozen=True, slots=True)
class JobTrace:
    """One job's way through the server, in seconds of one monotonic clock."""

    arrived_s: float
    """its last audio frame came in from the socket"""
    taken_s: float
    """the session took that frame up"""
    times: JobTimes
    batch_size: int
    window_s: float


def timing(trace: JobTrace, origin_s: float, emitted_s: float, sent_s: float) -> Timing:
    """Stages that add up to `sent_s - origin_s`.

    A speculative final was decoded before its endpoint was known (`origin_s`): whatever was over by
    then cost the client nothing and counts as 0.
    """
    t = trace.times
    passed = (trace.arrived_s, trace.taken_s, t.submitted_s, t.batched_s, t.begun_s, t.decoded_s, emitted_s, sent_s)
    known = [max(origin_s, moment) for moment in passed]
    stages = [round(1000 * (after - before), 3) for before, after in pairwise(known)]
    receive, vad, queue, batch_wait, decode, stabilise, emit = stages
    return Timing(receive, vad, queue, batch_wait, decode, stabilise, emit, trace.batch_size, round(trace.window_s, 3))
