"""How many files this process may have open at the same time. Connections are files, too."""

from __future__ import annotations

try:
    import resource
except ModuleNotFoundError:  # not on Windows, where sockets are no files
    resource = None  # type: ignore[assignment]


def raise_file_limit(wanted: int) -> int:
    """Ask the system for `wanted` open files, if it allows fewer. Returns how many it allows then."""
    if resource is None:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):
        return soft
    return most
