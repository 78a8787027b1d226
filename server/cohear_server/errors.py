"""The server's names for the one exception family of `cohear_client.errors`, and its own leaves.

ClientError    the request is wrong        -> close 1008, HTTP 400
ServerError    we failed                   -> close 1011, HTTP 500
OverloadError  no room now, retry later    -> close 1013, HTTP 503
"""

from __future__ import annotations

from cohear_client.errors import ClientError, CohearError, OverloadError, ServerError


class BackendUnavailable(ServerError):
    """The engine as a whole cannot decode (not one job that failed); the only thing `decode` raises."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__("backend_unavailable", message, remedy)


__all__ = ["BackendUnavailable", "ClientError", "CohearError", "OverloadError", "ServerError"]
