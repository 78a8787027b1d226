"""Where the server listens: its sockets, which program has a port that is taken, and the addresses for the banner."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from ..errors import ClientError

_LISTENS = "0A"
"""the state of a socket in /proc/net/tcp"""
_OUTSIDE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""addresses reserved for documents: only the route to them is looked up, nothing is sent"""


def listen(host: str, port: int) -> list[socket.socket]:
    """A bound socket for each address of `host`. Raises ClientError (`port_taken`, `bad_host`)."""
    with contextlib.ExitStack() as undo:
        sockets = [undo.enter_context(_bound(*found)) for found in _addresses(host, port)]
        undo.pop_all()
        return sockets


def holder(port: int) -> str:
    """The program on this machine that listens on a port; "another program" where the system does not say."""
    inodes = {f"socket:[{inode}]" for inode in _listeners(port)}
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        with contextlib.suppress(OSError):  # of another user, or just ended
            if any(os.readlink(file) in inodes for file in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return "another program"


def reachable(host: str) -> list[str]:
    """The hosts by which a server that listens on `host` is reached: itself, or where that means all addresses of
    this machine, one for this machine and one for others."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a name
        return [host]
    if not address.is_unspecified:
        return [_in_url(host)]
    own, family = ("127.0.0.1", socket.AF_INET) if address.version == 4 else ("::1", socket.AF_INET6)
    hosts = [own]
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as way:
        way.connect((_OUTSIDE[family], 9))
        hosts.append(way.getsockname()[0])
    return [_in_url(one) for one in dict.fromkeys(hosts)]


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _addresses(host: str, port: int) -> Iterator[tuple[socket.AddressFamily, tuple[str, int]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as fault:
        raise ClientError(
            "bad_host", f"host {host!r} is not known ({fault})", "name an address of this machine"
        ) from fault
    for family, place in dict.fromkeys((family, place) for family, _, _, _, place in found):
        yield family, (str(place[0]), int(place[1]))


def _bound(family: socket.AddressFamily, place: tuple[str, int]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(place)
        bound.listen(1)  # a second one that listens is only found here; the server sets the length of its queue
    except OSError as fault:
        bound.close()
        raise _refused(place, fault) from fault
    return bound


def _refused(place: tuple[str, int], fault: OSError) -> ClientError:
    host, port = place
    if fault.errno == errno.EADDRINUSE:
        remedy = "stop it, choose another --port, or let --port 0 find a free one"
        return ClientError("port_taken", f"port {port} of {host} is taken by {holder(port)}", remedy)
    if fault.errno == errno.EACCES:
        return ClientError("bad_port", f"port {port} is the system's", "choose a --port above 1023")
    return ClientError("bad_host", f"cannot listen on {host} ({fault.strerror})", "name an address of this machine")


def _listeners(port: int) -> Iterator[str]:
    """Inodes of the sockets that listen on a port (Linux)."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as lines:
            for line in lines:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
