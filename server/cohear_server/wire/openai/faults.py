"""Errors as OpenAI's clients expect them: a status, by which they choose an exception, and an `error` object."""

from __future__ import annotations

import re
from typing import Any

from ...errors import ClientError, CohearError, OverloadError

INVALID_KEY = "invalid_api_key"

_STATUS = {
    "unauthorized": 401,
    "forbidden": 403,
    "unknown_model": 404,
    "slow_request": 408,
    "too_large": 413,
    "bad_file": 415,
    "bad_content_type": 415,
    "unknown_host": 421,
}
"""of a client's errors; of all others 400"""

_BUSY = frozenset({"overloaded", "too_many_connections", "too_many_secrets"})
"""more work than there is room for; other reasons to come back later are the server's own state"""

_OF_THE_FILE = frozenset({"bad_file", "no_audio", "empty_audio", "bad_rate", "bad_channels", "too_large", "too_long"})

_FIELD = re.compile(r"^field '([^']+)'")


def status_of(fault: CohearError) -> int:
    """The HTTP status of an answer that tells of this."""
    match fault:
        case OverloadError():
            return 429 if fault.code in _BUSY else 503
        case ClientError():
            return _STATUS.get(fault.code, 400)
    return 503 if fault.code == "backend_unavailable" else 500


def error_object(fault: CohearError) -> dict[str, Any]:
    """`{"error": ...}`. `param` is the field at fault, where there is one."""
    status = status_of(fault)
    kind = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    code = INVALID_KEY if fault.code == "unauthorized" else fault.code
    return {"error": {"message": str(fault), "type": kind, "param": _param(fault), "code": code}}


def _param(fault: CohearError) -> str | None:
    if found := _FIELD.match(fault.message):
        return found[1]
    return "file" if fault.code in _OF_THE_FILE else None
