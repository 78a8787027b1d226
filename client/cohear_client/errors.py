"""The one exception family: the client's fault, the server's fault, or overload.

        CohearError              code, message, remedy: what happened, and what to do about it
        |-- ClientError          the request was wrong; sending it again unchanged fails again
        |-- ServerError          the server failed; the same request may succeed later or elsewhere
        `-- OverloadError        there is no room now; try again after `retry_after_s`

Both sides of the wire use it: the server turns one into an `error` message, the client turns an
`error` message back into one. It is not for programming mistakes: those stay plain exceptions.
"""

from __future__ import annotations


class CohearError(Exception):
    """What went wrong (`message`), under a stable name (`code`), with the next step (`remedy`)."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        # keyword-only arguments of subclasses do not fit the default, which calls the class with `args`
        return _restore, (type(self), self.__dict__)

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


class ClientError(CohearError):
    """The caller asked for something that cannot be done; `remedy` says what can."""


class ServerError(CohearError):
    """The server failed. The caller did nothing wrong."""


class OverloadError(CohearError):
    """There is no room now; `retry_after_s` says when to try again."""

    def __init__(self, code: str, message: str, remedy: str = "", *, retry_after_s: float = 1.0) -> None:
        super().__init__(code, message, remedy)
        self.retry_after_s = retry_after_s


def _restore(cls: type[CohearError], state: dict[str, object]) -> CohearError:
    fault = cls.__new__(cls)
    fault.args = (state["message"],)
    fault.__dict__.update(state)
    return fault
