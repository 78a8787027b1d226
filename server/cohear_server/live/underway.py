"""The decode jobs of one stream that the dispatcher has, and the times of those that came back, until their events are
told. It decides nothing: the session says what is submitted and cancelled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeResult, JobKind
from ..core.session import Session
from ..engine.backend import ModelInfo
from ..scheduling.dispatcher import Deliver, Dispatcher, JobTimes
from .timing import JobTrace


@dataclass(slots=True)
class _Sent:
    """A job that the dispatcher has. The job itself, with its audio, is only there."""

    kind: JobKind
    window_s: float
    arrived_s: float
    taken_s: float
    wanted: bool = True
    """False: it was cancelled in the engine, and its result is still to come"""


class Underway:
    def __init__(self, dispatcher: Dispatcher, session: Session, deliver: Deliver) -> None:
        self.partial_model: ModelInfo | None = None
        """a smaller model, for partials that it can decode; None: all go to the session's model"""
        self._dispatcher = dispatcher
        self._session = session
        self._deliver = deliver
        self._sent: dict[str, _Sent] = {}
        self._traces: dict[str, JobTrace] = {}

    def __len__(self) -> int:
        """Jobs and times that are kept."""
        return len(self._sent) + len(self._traces)

    def submit(self, job: DecodeJob, arrived_s: float, taken_s: float) -> None:
        """`arrived_s`, `taken_s`: when its last audio came in, and was taken up."""
        self._sent[job.id] = _Sent(job.kind, len(job.pcm) / SAMPLE_RATE_HZ, arrived_s, taken_s)
        replaced = self._dispatcher.submit(self._routed(job), self._deliver, self._session.begun)
        if replaced is not None:
            self._sent.pop(replaced, None)

    def cancel(self, job_id: str) -> None:
        self._traces.pop(job_id, None)
        if self._dispatcher.cancel(job_id, self._session.id):
            self._sent.pop(job_id, None)
        elif job_id in self._sent:
            self._sent[job_id].wanted = False

    def give_up(self) -> list[str]:
        """Cancel all; their ids. Results that still come are nobody's."""
        ids = list(self._sent)
        for job_id in ids:
            self._dispatcher.cancel(job_id, self._session.id)
        self._sent.clear()
        return ids

    def returned(self, result: DecodeResult, times: JobTimes) -> bool:
        """A job came back. Whether its times are of use only for the events of this moment (`forget`)."""
        sent = self._sent.pop(result.job_id, None)
        if sent is None:
            return False
        self._traces[result.job_id] = JobTrace(sent.arrived_s, sent.taken_s, times, result.batch_size, sent.window_s)
        return sent.kind is JobKind.PARTIAL or not sent.wanted

    def trace(self, job_id: str) -> JobTrace | None:
        """The times of a job that came back."""
        return self._traces.get(job_id)

    def forget(self, job_id: str) -> None:
        """All its events are told."""
        self._traces.pop(job_id, None)

    def _routed(self, job: DecodeJob) -> DecodeJob:
        """The job, with the model that decodes it now."""
        model = self.partial_model
        if model is None or job.kind is not JobKind.PARTIAL or not model.knows(job.options):
            return job
        return replace(job, options=replace(job.options, model=model.name))
