"""Errors in Deepgram's forms: the body of an HTTP answer, and a message on an open stream."""

from __future__ import annotations

import uuid

from ...errors import ClientError, CohearError, OverloadError
from ..wire import CLOSE_SERVER_FAULT, usual_close_code
from .messages import Error

NO_AUDIO, BAD_AUDIO = "NET-0001", "DATA-0000"
"""Deepgram's names for a stream that brought nothing for too long, and for audio that cannot be decoded"""

_VARIANTS = {
    "idle_timeout": NO_AUDIO,
    "bad_audio": BAD_AUDIO,
    "bad_json": "SchemaError",
    "unknown_type": "SchemaError",
    "bad_field": "SchemaError",
    "message_too_large": "SchemaError",
}
_ANSWERS = {
    "unauthorized": (401, "INVALID_AUTH"),
    "forbidden": (403, "INSUFFICIENT_PERMISSIONS"),
    "too_large": (413, "PAYLOAD_TOO_LARGE"),
    "slow_request": (408, "SLOW_UPLOAD"),
}


def status_of(fault: CohearError) -> int:
    """The HTTP status of an answer that tells of this."""
    match fault:
        case OverloadError():
            return 429 if fault.code == "overloaded" else 503
        case ClientError():
            return _ANSWERS.get(fault.code, (400, ""))[0]
    return 500


def body_of(fault: CohearError, request_id: str) -> dict[str, str]:
    """The body of that answer."""
    usual = {400: "Bad Request", 429: "TOO_MANY_REQUESTS", 503: "SERVICE_UNAVAILABLE"}
    known = _ANSWERS.get(fault.code, (0, usual.get(status_of(fault), "INTERNAL_SERVER_ERROR")))[1]
    return {"err_code": known, "err_msg": str(fault), "request_id": request_id}


def error_body(fault: CohearError) -> dict[str, str]:
    """The body where the request has no number yet."""
    return body_of(fault, str(uuid.uuid4()))


def error_message(fault: CohearError) -> Error:
    """A fault on an open stream."""
    return Error(_VARIANTS.get(fault.code, fault.code.upper()), str(fault))


def close_code(fault: CohearError | None) -> int:
    return CLOSE_SERVER_FAULT if fault is not None and fault.code == "idle_timeout" else usual_close_code(fault)
