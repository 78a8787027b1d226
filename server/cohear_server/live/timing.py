"""The latency of an event by stage, from the times at which its decode job passed each stage.

Times are taken once, where the work happens, and are put together here; this module measures nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ..scheduling.dispatcher import JobTimes


@dataclass(frozen=True, slots=True)
class Stages:
    """Stages in ms. They add up to the time from the last audio that the event needed until it went to the socket."""

    receive_ms: float = 0.0
    """read from the socket -> taken up by the session"""
    vad_ms: float = 0.0
    """decoding, resampling and speech detection, up to the decode job"""
    queue_ms: float = 0.0
    """waiting until the scheduler put it in a batch"""
    batch_wait_ms: float = 0.0
    """waiting until the engine began on the batch"""
    decode_ms: float = 0.0
    """in the engine"""
    stabilise_ms: float = 0.0
    """from hypothesis to event, waiting for earlier segments of the stream included"""
    emit_ms: float = 0.0
    """waiting for the socket"""
    batch_size: int = 0
    window_s: float = 0.0

    @property
    def total_ms(self) -> float:
        waiting = self.receive_ms + self.vad_ms + self.queue_ms + self.batch_wait_ms
        return waiting + self.decode_ms + self.stabilise_ms + self.emit_ms


@dataclass(frozen=True, slots=True)
class JobTrace:
    """The times of one job, in seconds of one monotonic clock."""

    arrived_s: float
    """its last audio frame came in from the socket"""
    taken_s: float
    """the session took that frame up"""
    times: JobTimes
    batch_size: int
    window_s: float


def stages(trace: JobTrace, origin_s: float, emitted_s: float, sent_s: float) -> Stages:
    """Stages that add up to `sent_s - origin_s`.

    A speculative final may be decoded before its endpoint is known (`origin_s`): stages that were over by then cost the
    client nothing, and count as 0.
    """
    t = trace.times
    passed = (trace.arrived_s, trace.taken_s, t.submitted_s, t.batched_s, t.begun_s, t.decoded_s, emitted_s, sent_s)
    known = [max(origin_s, moment) for moment in passed]
    spent = [round(1000 * (after - before), 3) for before, after in pairwise(known)]
    receive, vad, queue, batch_wait, decode, stabilise, emit = spent
    return Stages(receive, vad, queue, batch_wait, decode, stabilise, emit, trace.batch_size, round(trace.window_s, 3))
