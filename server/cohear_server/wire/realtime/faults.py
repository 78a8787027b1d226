"""A fault of the family as the protocol says it."""

from __future__ import annotations

from ...errors import ClientError, CohearError
from .answers import Error, Fault
from .requests import Refused


def error_of(fault: CohearError) -> Error:
    """An `error`; it names the client's message where that is known."""
    if isinstance(fault, Refused):
        return Error(Fault("invalid_request_error", fault.code, str(fault), fault.param, fault.event_id))
    return Error(fault_of(fault, event_id=None))


def fault_of(fault: CohearError, **rest: None) -> Fault:
    kind = "invalid_request_error" if isinstance(fault, ClientError) else "server_error"
    return Fault(kind, fault.code, str(fault), **rest)
